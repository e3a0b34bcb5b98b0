"""The change data feed of tables: what came and what went between two versions."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.commits import commit
from pipelines.io.failures import SPARK_ERRORS, said
from pipelines.io.files import table_id
from pipelines.io.lake import table_path
from pipelines.io.read import NOT_YET, shown_columns, version_of
from pipelines.settings import Settings

WEIGHT = "__weight"  # 1 for a row that came, -1 for one that went
_FEED_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")


class FeedError(Exception):
    """A change feed cannot be read; the text says why."""


@dataclass(frozen=True)
class Change:
    """What happened to a table after one version and up to another, by its log.

    Attributes:
        rows: that came or went, as far as the log tells; an update counts as two.
        bytes: of the files that the feed is read from.
        removes: whether rows may have gone.
    """

    first: int
    last: int
    rows: int
    bytes: int
    removes: bool

    @property
    def is_empty(self) -> bool:
        return self.bytes == 0


def identity(spark: SparkSession, settings: Settings, name: str) -> str:
    """By which a table is told from another one of that name; empty if it was never written to."""
    found = version_of(spark, settings, name) > NOT_YET
    return table_id(spark, settings, name) if found else ""


def change(spark: SparkSession, settings: Settings, name: str, first: int, last: int) -> Change:
    """What happened to a table after version `first`, up to `last`.

    Raises:
        FeedError: it went back, or its log is gone.
    """
    if last < first:
        raise FeedError(f"{name} went back from version {first} to {last}")
    rows = size = 0
    removes = False
    for version in range(first + 1, last + 1):
        found = commit(spark, settings, name, version)
        if found is None:
            raise FeedError(f"{name} no longer has the log of its version {version}")
        rows, size = rows + found.changed_rows, size + found.changed_bytes
        removes = removes or found.removes
    return Change(first, last, rows, size, removes)


def feed(spark: SparkSession, settings: Settings, name: str, first: int, last: int) -> DataFrame:
    """The rows that came and went after version `first`, up to `last`, each with its `WEIGHT`.

    Raises:
        FeedError: Delta cannot give it.
    """
    try:
        rows = (
            spark.read.format("delta")
            .option("readChangeFeed", "true")
            .option("startingVersion", first + 1)
            .option("endingVersion", last)
            .load(table_path(settings, name))
        )
    except SPARK_ERRORS as error:
        raise FeedError(f"the change feed of {name}: {said(error)}") from None
    weighed = rows.withColumn(WEIGHT, _weight())
    kept = shown_columns(weighed.drop(WEIGHT, *_FEED_COLUMNS)).columns
    return weighed.select(*kept, WEIGHT)


def no_change(rows: DataFrame) -> DataFrame:
    """An empty change feed of a table with these rows."""
    return rows.limit(0).withColumn(WEIGHT, F.lit(1))


def _weight() -> Column:
    came = F.col("_change_type").isin("insert", "update_postimage")
    return F.when(came, F.lit(1)).otherwise(F.lit(-1))
