"""What changed between two versions, by the log and by the change feed."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipelines.io.changes import WEIGHT, Change, FeedError, change, feed
from pipelines.io.commits import commit
from pipelines.io.lake import table_path
from pipelines.io.layout import layout_session
from pipelines.io.read import version_of
from pipelines.io.write import PROPERTIES
from pipelines.settings import Settings

NAME = "silver.things"


@pytest.fixture
def place(spark: SparkSession, lake: Settings) -> str:
    """A table of two rows in two files, version 2; how SQL names it."""
    place = f"delta.`{table_path(lake, NAME)}`"
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in PROPERTIES.items())
    spark.sql(f"CREATE TABLE {place} (id INT, x INT) USING delta TBLPROPERTIES ({properties})")
    for number in (1, 2):
        spark.sql(f"INSERT INTO {place} VALUES ({number}, {number})")
    return place


def since(spark: SparkSession, lake: Settings, first: int) -> Change:
    return change(spark, lake, NAME, first, version_of(spark, lake, NAME))


def test_rows_are_counted_from_the_log(spark: SparkSession, lake: Settings, place: str) -> None:
    assert since(spark, lake, 0).rows == 2
    spark.sql(f"UPDATE {place} SET x = 5 WHERE id = 1")
    spark.sql(f"DELETE FROM {place} WHERE id = 2")
    found = since(spark, lake, 2)
    assert (found.rows, found.is_empty) == (3, False)
    assert (found.first, found.last) == (2, 4)
    assert found.bytes > 0


@pytest.mark.parametrize("upkeep", ["OPTIMIZE {}", "ALTER TABLE {} SET TBLPROPERTIES ('a' = 'b')"])
def test_upkeep_changes_no_row(
    spark: SparkSession, lake: Settings, place: str, upkeep: str
) -> None:
    layout_session(spark, lake, 0).sql(upkeep.format(place)).collect()
    assert version_of(spark, lake, NAME) > 2
    assert since(spark, lake, 2).is_empty


def test_feed_weighs_what_came_and_what_went(
    spark: SparkSession, lake: Settings, place: str
) -> None:
    spark.sql(f"UPDATE {place} SET x = 5 WHERE id = 1")
    rows = feed(spark, lake, NAME, 1, 3)
    assert rows.columns == ["id", "x", WEIGHT]
    assert sorted(map(tuple, rows.collect())) == [(1, 1, -1), (1, 5, 1), (2, 2, 1)]


def test_table_that_went_back_is_named(spark: SparkSession, lake: Settings, place: str) -> None:
    with pytest.raises(FeedError, match=f"{NAME} went back from version 9 to 2"):
        since(spark, lake, 9)


def test_log_that_was_cleaned_up_is_named(spark: SparkSession, lake: Settings, place: str) -> None:
    (Path(table_path(lake, NAME)) / "_delta_log" / f"{1:020}.json").unlink()
    assert commit(spark, lake, NAME, 1) is None
    with pytest.raises(FeedError, match=f"{NAME} no longer has the log of its version 1"):
        change(spark, lake, NAME, 0, 2)
