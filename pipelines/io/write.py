"""Writing: the only module that changes a table, and the one that interprets its strategy."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from delta.tables import DeltaMergeBuilder, DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType
from pyspark.util import inheritable_thread_target

from pipelines.errors import LakeError
from pipelines.io.conflicts import retrying
from pipelines.io.files import applied, property_of
from pipelines.io.lake import table_path
from pipelines.io.read import exists, schema_of
from pipelines.settings import Settings
from pipelines.table import Overwrite, Table, Upsert
from pipelines.view import View

PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    # 30 days by default; a replay that comes later than this would no longer be recognised.
    "delta.setTransactionRetentionDuration": "interval 365 days",
    # Only `maintain` deletes log entries, and only those that no view and no stream still needs.
    "delta.enableExpiredLogCleanup": "false",
}

# Counts the refreshes of a view, so that of two that run at once one fails.
REFRESH = "refresh"
_TIMES = ("timestamp", "timestamp_ntz", "date")
_HIDDEN_COMMENT = "kept for the refresh of the view"


@dataclass(frozen=True)
class Transaction:
    """Names a write, so that Delta applies it once however often it is repeated.

    `application` must be unique per checkpoint: batch numbers start at 0 again in a new one.
    `may_repeat`: whether a former process may have applied it, and it is to be told if so.
    """

    application: str
    version: int
    may_repeat: bool = False


def create(spark: SparkSession, settings: Settings, table: Table) -> None:
    """Create the table from its declaration if it does not exist."""
    _create(spark, settings, table, schema_of(table))


def _create(
    spark: SparkSession, settings: Settings, table: Table | View, schema: StructType
) -> None:
    builder = (
        DeltaTable.createIfNotExists(spark)
        .location(table_path(settings, table.name))
        .comment(table.comment)
        .addColumns(schema)
    )
    if table.cluster_by:
        builder = builder.clusterBy(*table.cluster_by)
    for key, value in PROPERTIES.items():
        builder = builder.property(key, value)
    if isinstance(table, View):
        builder = builder.property("delta.enableDeletionVectors", "true")
    if isinstance(table, Table):
        builder = builder.property("delta.dataSkippingStatsColumns", ",".join(table.skipped_by))
    builder.execute()


def write_view(
    rows: DataFrame, settings: Settings, view: View, *, files: int, metadata: str
) -> None:
    """Replace a view's rows; readers keep the old version until the one commit.

    Args:
        rows: the view's columns, and hidden ones that its next refresh needs.
        files: how many to write, where the view is clustered by time.
        metadata: kept with the commit, in the same atomic step.
    """
    spark = rows.sparkSession
    comments = dict(view.column_comments)
    commented = rows.select(
        *(
            F.col(name).alias(name, metadata={"comment": comments.get(name, _HIDDEN_COMMENT)})
            for name in rows.columns
        )
    )
    if not exists(spark, settings, view.name):
        _create(spark, settings, view, commented.schema)
    elif not property_of(spark, settings, view.name, "delta.enableDeletionVectors"):
        target = f"delta.`{table_path(settings, view.name)}`"
        spark.sql(f"ALTER TABLE {target} SET TBLPROPERTIES (delta.enableDeletionVectors = true)")
    (
        _in_order_of_time(commented, view, files)
        .write.format("delta")
        .mode("overwrite")
        .option("overwriteSchema", "true")
        .option("userMetadata", metadata)
        .option("txnAppId", REFRESH)
        .option("txnVersion", applied(spark, settings, view.name, REFRESH) + 1)
        .save(table_path(settings, view.name))
    )


def _in_order_of_time(rows: DataFrame, view: View, files: int) -> DataFrame:
    """Rows of one time in one file: what changes is mostly recent, and is found in the last."""
    times = [c for c in view.cluster_by if rows.schema[c].dataType.typeName() in _TIMES]
    if files < 2 or not times:
        return rows
    return rows.repartitionByRange(files, *times).sortWithinPartitions(*times, *view.cluster_by)


def write(
    df: DataFrame,
    settings: Settings,
    table: Table,
    *,
    transaction: Transaction | None = None,
    metadata: str | None = None,
) -> bool:
    """Write rows by the table's strategy: append, upsert or overwrite; create it if need be.

    Args:
        df: exactly the table's columns; nothing is cast.
        transaction: repeated writes under the same one are applied once.
        metadata: kept with the commit, in the same atomic step.

    Returns:
        False if the table holds the transaction already and nothing was written; this is looked
        at if it `may_repeat`.

    Raises:
        LakeError: the rows have other columns or types than the table declares.
        ConflictError: other writers' commits spoiled an upsert at every attempt.
    """
    _refuse_drift(df, table)
    if not exists(df.sparkSession, settings, table.name):
        create(df.sparkSession, settings, table)
    if transaction and transaction.may_repeat:
        newest = applied(df.sparkSession, settings, table.name, transaction.application)
        if newest >= transaction.version:
            return False
    _apply(df, settings, table, transaction, metadata)
    return True


def remove(rows: DataFrame, settings: Settings, table: Table, keys: Iterable[str]) -> None:
    """Delete those rows of a table whose keys are among those of `rows`; none if it is empty.

    Raises:
        ConflictError: other writers' commits spoiled it at every attempt.
    """
    _change(rows, settings, table, keys, lambda merge: merge.whenMatchedDelete())


def amend(rows: DataFrame, settings: Settings, table: Table, keys: Iterable[str]) -> None:
    """Give those rows of a table that have the keys of `rows` its values; see `remove`."""
    values = {name: F.col(f"s.{name}") for name in rows.columns}
    _change(rows, settings, table, keys, lambda merge: merge.whenMatchedUpdate(set=values))


def in_parallel(spark: SparkSession, writes: Iterable[Callable[[], None]]) -> None:
    """Run writes to different tables side by side: while one commits, another has the cores."""
    with ThreadPoolExecutor() as pool:
        for running in [pool.submit(inheritable_thread_target(spark)(write)) for write in writes]:
            running.result()


def _apply(
    df: DataFrame,
    settings: Settings,
    table: Table,
    transaction: Transaction | None,
    metadata: str | None,
) -> None:
    if isinstance(table.write, Upsert):
        _upsert(df, settings, table, table.write, transaction)
        return
    mode = "overwrite" if isinstance(table.write, Overwrite) else "append"
    writer = df.write.format("delta").mode(mode)
    if transaction:
        writer = writer.option("txnAppId", transaction.application)
        writer = writer.option("txnVersion", transaction.version)
    if metadata:
        writer = writer.option("userMetadata", metadata)
    writer.save(table_path(settings, table.name))


def _refuse_drift(df: DataFrame, table: Table) -> None:
    """MERGE would cast silently and leave out what it does not know."""
    declared = {field.name: field.dataType.simpleString() for field in schema_of(table)}
    given = {field.name: field.dataType.simpleString() for field in df.schema}
    if given != declared:
        apart = dict(sorted(given.items() ^ declared.items()))
        raise LakeError(f"{table.name}: the rows do not fit its declaration: {apart}; correct one")


def _upsert(
    df: DataFrame,
    settings: Settings,
    table: Table,
    strategy: Upsert,
    transaction: Transaction | None,
) -> None:
    """MERGE one row per key; MERGE takes its transaction from the session, not from options.

    An OPTIMIZE that ends meanwhile spoils it, unlike an append.
    """
    spark = df.sparkSession

    def upsert(merge: DeltaMergeBuilder) -> DeltaMergeBuilder:
        return merge.whenMatchedUpdateAll().whenNotMatchedInsertAll()

    if transaction is None:
        _change(df, settings, table, strategy.keys, upsert)
        return
    keys = {
        "spark.databricks.delta.write.txnAppId": transaction.application,
        "spark.databricks.delta.write.txnVersion": str(transaction.version),
    }
    for key, value in keys.items():
        spark.conf.set(key, value)
    try:
        _change(df, settings, table, strategy.keys, upsert)
    finally:
        for key in keys:
            spark.conf.unset(key)


def _change(
    rows: DataFrame,
    settings: Settings,
    table: Table,
    keys: Iterable[str],
    how: Callable[[DeltaMergeBuilder], DeltaMergeBuilder],
) -> None:
    """Merge, as `how` says; again after a commit that only rewrote files."""
    same_key = " AND ".join(f"t.{key} = s.{key}" for key in keys)

    def change() -> None:
        target = DeltaTable.forPath(rows.sparkSession, table_path(settings, table.name))
        how(target.alias("t").merge(rows.alias("s"), same_key)).execute()

    retrying(change, settings.maintain.attempts, table.name, only_rewrites=True)
