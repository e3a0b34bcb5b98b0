"""Rows come and go in one commit, or none does."""

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.changes import WEIGHT, feed
from pipelines.io.lake import table_path
from pipelines.io.patch import FILE, ROW, MovedError, patch, with_positions
from pipelines.io.read import last_write, read, version_of
from pipelines.settings import Settings

NAME = "silver.things"


@pytest.fixture
def things(spark: SparkSession, lake: Settings) -> str:
    """A table of ten numbers in two files, version 1; how SQL names it."""
    place = f"delta.`{table_path(lake, NAME)}`"
    spark.sql(
        f"CREATE TABLE {place} (n BIGINT) USING delta "
        "TBLPROPERTIES (delta.enableDeletionVectors = true, delta.enableChangeDataFeed = true)"
    )
    spark.range(10).select(F.col("id").alias("n")).repartition(2).write.format("delta").mode(
        "append"
    ).save(table_path(lake, NAME))
    return place


def numbers(spark: SparkSession, lake: Settings) -> list[int]:
    return sorted(row["n"] for row in read(spark, lake, NAME).collect())


def positions(spark: SparkSession, lake: Settings, condition: str) -> DataFrame:
    return with_positions(read(spark, lake, NAME)).where(condition).select(FILE, ROW)


def test_rows_come_and_go_in_one_commit_with_its_record(
    spark: SparkSession, lake: Settings, things: str
) -> None:
    patch(
        spark, lake, NAME, version=1, removed=positions(spark, lake, "n % 3 = 0"),
        added=spark.range(100, 102).withColumnRenamed("id", "n"),
        record=lambda removed, added: f"{removed} went, {added} came",
    )  # fmt: skip
    assert version_of(spark, lake, NAME) == 2
    assert numbers(spark, lake) == [1, 2, 4, 5, 7, 8, 100, 101]
    assert last_write(spark, lake, NAME)["userMetadata"] == "4 went, 2 came"
    came = {row["n"]: row[WEIGHT] for row in feed(spark, lake, NAME, 1, 2).collect()}
    assert came == {0: -1, 3: -1, 6: -1, 9: -1, 100: 1, 101: 1}


def test_rows_are_taken_out_of_files_that_have_lost_rows_already(
    spark: SparkSession, lake: Settings, things: str
) -> None:
    for version, condition in ((1, "n < 2"), (2, "n < 4"), (3, "n > 7")):
        removed = positions(spark, lake, condition)
        patch(
            spark, lake, NAME, version=version, removed=removed, added=None,
            record=lambda removed, added: f"{removed}",
        )  # fmt: skip
        assert last_write(spark, lake, NAME)["userMetadata"] == "2"
    assert numbers(spark, lake) == [4, 5, 6, 7]


def test_record_alone_is_a_commit_that_changes_no_row(
    spark: SparkSession, lake: Settings, things: str
) -> None:
    patch(spark, lake, NAME, version=1, removed=None, added=None, record=lambda *_: "same")
    assert last_write(spark, lake, NAME)["userMetadata"] == "same"
    assert numbers(spark, lake) == list(range(10))


def test_table_that_has_moved_on_is_left_alone(
    spark: SparkSession, lake: Settings, things: str
) -> None:
    removed = positions(spark, lake, "n = 1")
    spark.sql(f"DELETE FROM {things} WHERE n = 5")
    with pytest.raises(MovedError, match=f"{NAME} is of version 2"):
        patch(spark, lake, NAME, version=1, removed=removed, added=None, record=lambda *_: "")
    assert numbers(spark, lake) == [0, 1, 2, 3, 4, 6, 7, 8, 9]


def test_of_two_patches_at_once_one_fails(spark: SparkSession, lake: Settings, things: str) -> None:
    def beaten(removed: int, added: int) -> str:
        patch(spark, lake, NAME, version=1, removed=None, added=one, record=lambda *_: "first")
        return "second"

    one = spark.range(50, 51).withColumnRenamed("id", "n")
    with pytest.raises(MovedError, match=NAME):
        patch(spark, lake, NAME, version=1, removed=None, added=one, record=beaten)
    assert numbers(spark, lake) == [*range(10), 50]
    assert last_write(spark, lake, NAME)["userMetadata"] == "first"
