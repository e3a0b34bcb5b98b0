"""Reading: tables by name, at a version, as a stream; and what a table's log says."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from pipelines.errors import LakeError
from pipelines.io.commits import commit
from pipelines.io.files import version_now
from pipelines.io.lake import table_path
from pipelines.registry import TABLES
from pipelines.settings import Settings
from pipelines.table import Table

NOT_YET = -1  # the version of a table before its first commit
HIDDEN = "__"  # opens the name of a column that only the engine of views reads
UPKEEP = ("OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "CLUSTER BY")


def schema_of(table: Table) -> StructType:
    """The declared columns of a table."""
    return cast(StructType, StructType.fromDDL(" ".join(table.schema.split())))


def exists(spark: SparkSession, settings: Settings, name: str) -> bool:
    """Whether the table has been created."""
    return bool(DeltaTable.isDeltaTable(spark, table_path(settings, name)))


def read(
    spark: SparkSession, settings: Settings, name: str, *, version: int | None = None
) -> DataFrame:
    """A table's rows, now or at a version; a table that nothing was written to yet is empty.

    Raises:
        LakeError: it is a view that was never refreshed, or no table of this lake.
    """
    return shown_columns(read_stored(spark, settings, name, version=version))


def read_stored(
    spark: SparkSession, settings: Settings, name: str, *, version: int | None = None
) -> DataFrame:
    """A table's rows with the hidden columns that a view keeps for its own refresh.

    Raises:
        LakeError: it is a view that was never refreshed, or no table of this lake.
    """
    if version == NOT_YET or not exists(spark, settings, name):
        declared = next((table for table in TABLES if table.name == name), None)
        if declared is None:
            raise LakeError(f"{name} does not exist yet; run `lakehouse refresh` first")
        return spark.createDataFrame([], schema_of(declared))
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(table_path(settings, name))


def shown_columns(rows: DataFrame) -> DataFrame:
    """A table's rows without what a view keeps for its own refresh."""
    shown = [column for column in rows.columns if not column.startswith(HIDDEN)]
    return rows.select(*shown) if len(shown) < len(rows.columns) else rows


def read_stream(spark: SparkSession, settings: Settings, name: str, *, max_bytes: str) -> DataFrame:
    """A table's rows in the order of its commits, bounded per batch.

    Commits that change rows which stand already are passed over, whole: `erase` makes them, and
    has changed what was read of these rows itself. Whatever adds rows only is read.
    """
    return (
        spark.readStream.format("delta")
        .option("skipChangeCommits", "true")
        .option("maxBytesPerTrigger", max_bytes)
        .load(table_path(settings, name))
    )


def last_commit(spark: SparkSession, settings: Settings, name: str) -> dict[str, Any]:
    """Version, operation and `userMetadata` of a table's newest commit."""
    row = DeltaTable.forPath(spark, table_path(settings, name)).history(1).first()
    return row.asDict(recursive=True) if row else {}


def last_write(spark: SparkSession, settings: Settings, name: str) -> dict[str, Any]:
    """What the newest commit says of itself that is not one of `maintain`, which alters no row.

    Empty if there is none, or its log entry has been cleaned up.
    """
    for version in range(version_of(spark, settings, name), NOT_YET, -1):
        found = commit(spark, settings, name, version)
        if found is None:
            return {}
        if found.info.get("operation") not in UPKEEP:
            return found.info
    return {}


def last_metadata(spark: SparkSession, settings: Settings, name: str) -> str | None:
    """`userMetadata` of the newest commit that is not one of `maintain`, which alters no row."""
    return last_write(spark, settings, name).get("userMetadata")


def version_of(spark: SparkSession, settings: Settings, name: str) -> int:
    """A table's newest version; `NOT_YET` if nothing was written to it."""
    return version_now(spark, settings, name)


@dataclass(frozen=True)
class TableStatus:
    """A table's size and newest commit."""

    name: str
    rows: int
    version: int
    changed_at: datetime


def table_status(
    spark: SparkSession, settings: Settings, names: Iterable[str]
) -> list[TableStatus]:
    """The status of those of the named tables that exist; rows are counted from the log."""
    found = []
    for name in names:
        if exists(spark, settings, name):
            commit = last_commit(spark, settings, name)
            rows = read(spark, settings, name).count()
            found.append(TableStatus(name, rows, int(commit["version"]), commit["timestamp"]))
    return found
