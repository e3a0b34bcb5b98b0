"""Questions in SQL: by table names, one SELECT at a time, and nothing but reading."""

from collections.abc import Callable, Iterable

import pytest
from given import event
from pyspark.sql import SparkSession

from pipelines.errors import LakeError, QueryError
from pipelines.io.query import query
from pipelines.settings import Settings


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM silver.clicks",
        "DROP TABLE silver.clicks",
        "UPDATE silver.clicks SET item_id = 'x'",
        "INSERT INTO silver.clicks SELECT * FROM silver.clicks",
        "CREATE TABLE t AS SELECT 1",
        "SET spark.sql.ansi.enabled = false",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE silver.clicks",
        "-- only a comment",
        "",
    ],
)
def test_anything_but_one_select_is_refused(spark: SparkSession, lake: Settings, sql: str) -> None:
    with pytest.raises(QueryError, match="query: must be one SELECT statement"):
        query(spark, lake, sql)


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT (1", "SELECT 'a", "SELECT 1 FROM FROM"])
def test_broken_sql_is_named_in_one_line(spark: SparkSession, lake: Settings, sql: str) -> None:
    with pytest.raises(QueryError, match=r"^query\b") as caught:
        query(spark, lake, sql)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "table",
    ["silver.nothing", "clicks", "delta.`/etc`", "parquet.`/tmp/x`", "a.silver.clicks"],
)
def test_unknown_table_is_refused_with_those_there_are(
    spark: SparkSession, lake: Settings, table: str
) -> None:
    with pytest.raises(QueryError, match=r"query: no table .*; there are .*silver\.clicks"):
        query(spark, lake, f"SELECT * FROM {table}")


def test_tables_are_found_by_name_wherever_a_query_names_them(
    spark: SparkSession, lake: Settings, take_in: Callable[[Settings, Iterable[object]], None]
) -> None:
    take_in(lake, [event("click", 1), event("click", 2, item_id="i2"), event("item_upsert", 3)])
    sql = """
        WITH items AS (SELECT item_id FROM silver.items),
             clicks AS (SELECT item_id FROM silver.clicks WHERE item_id IN (SELECT * FROM items))
        SELECT clicks.item_id, (SELECT count(*) FROM bronze.events) AS event_count
        FROM clicks JOIN silver.clicks AS c USING (item_id)
        UNION ALL SELECT clicks.session_id, 0 FROM silver.clicks WHERE clicks.item_id = 'i2'
    """
    assert {tuple(row) for row in query(spark, lake, sql).collect()} == {("i1", 3), ("s1", 0)}


def test_errors_show_the_names_of_the_query(spark: SparkSession, lake: Settings) -> None:
    sql = "SELECT nope, clicks.item_id FROM silver.clicks JOIN silver.items USING (item_id)"
    with pytest.raises(QueryError, match="nope") as caught:
        query(spark, lake, sql)
    message = str(caught.value)
    assert message.startswith("query: ")
    assert "__" not in message
    assert "\n" not in message


def test_view_that_was_never_refreshed_says_what_to_do(spark: SparkSession, lake: Settings) -> None:
    with pytest.raises(LakeError, match=r"gold\.sales_hourly does not exist yet; run `lakehouse"):
        query(spark, lake, "SELECT * FROM gold.sales_hourly")
