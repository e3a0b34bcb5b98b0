"""Writing: the only module that changes a table, and the one that interprets its strategy."""

from dataclasses import dataclass

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from pipelines.errors import LakeError
from pipelines.io.lake import table_path
from pipelines.io.read import exists, schema_of
from pipelines.settings import Settings
from pipelines.table import Overwrite, Table, Upsert
from pipelines.view import View

PROPERTIES = {
    "delta.enableChangeDataFeed": "true",
    # 30 days by default; a replay that comes later than this would no longer be recognised.
    "delta.setTransactionRetentionDuration": "interval 365 days",
}


@dataclass(frozen=True)
class Transaction:
    """Names a write, so that Delta applies it once however often it is repeated.

    `application` must be unique per checkpoint: batch numbers start at 0 again in a new one.
    """

    application: str
    version: int


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
    builder.execute()


def write_view(rows: DataFrame, settings: Settings, view: View, *, metadata: str) -> None:
    """Replace a view's rows; readers keep the old version until the one commit.

    Args:
        metadata: kept with the commit, in the same atomic step.
    """
    comments = dict(view.column_comments)
    commented = rows.select(
        *(F.col(name).alias(name, metadata={"comment": comments[name]}) for name in rows.columns)
    )
    if not exists(rows.sparkSession, settings, view.name):
        _create(rows.sparkSession, settings, view, commented.schema)
    (
        commented.write.format("delta")
        .mode("overwrite")
        .option("overwriteSchema", "true")
        .option("userMetadata", metadata)
        .save(table_path(settings, view.name))
    )


def write(
    df: DataFrame,
    settings: Settings,
    table: Table,
    *,
    transaction: Transaction | None = None,
    metadata: str | None = None,
) -> None:
    """Write rows by the table's strategy: append, upsert or overwrite; create it if need be.

    Args:
        df: exactly the table's columns; nothing is cast.
        transaction: repeated writes under the same one are applied once.
        metadata: kept with the commit, in the same atomic step.

    Raises:
        LakeError: the rows have other columns or types than the table declares.
    """
    _refuse_drift(df, table)
    if not exists(df.sparkSession, settings, table.name):
        create(df.sparkSession, settings, table)
    if isinstance(table.write, Upsert):
        _upsert(df, settings, table, table.write, transaction)
        return
    writer = df.write.format("delta")
    if isinstance(table.write, Overwrite):
        writer = writer.mode("overwrite")
    else:
        writer = writer.mode("append")
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
    """MERGE one row per key; MERGE takes its transaction from the session, not from options."""
    spark = df.sparkSession
    same_key = " AND ".join(f"t.{key} = s.{key}" for key in strategy.keys)
    target = DeltaTable.forPath(spark, table_path(settings, table.name))
    merge = (
        target.alias("t")
        .merge(df.alias("s"), same_key)
        .whenMatchedUpdateAll()
        .whenNotMatchedInsertAll()
    )
    if transaction is None:
        merge.execute()
        return
    keys = {
        "spark.databricks.delta.write.txnAppId": transaction.application,
        "spark.databricks.delta.write.txnVersion": str(transaction.version),
    }
    for key, value in keys.items():
        spark.conf.set(key, value)
    try:
        merge.execute()
    finally:
        for key in keys:
            spark.conf.unset(key)
