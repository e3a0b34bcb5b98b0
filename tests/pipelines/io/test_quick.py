"""DuckDB answers as Spark does, or is not asked: types, nulls, order, division, deletions."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from pipelines.io.lake import open_lake, table_path
from pipelines.io.query import query
from pipelines.io.quick import connect, quick, snapshot
from pipelines.io.quick_types import Refused
from pipelines.io.read import schema_of
from pipelines.io.select import parse_query
from pipelines.io.write import write
from pipelines.settings import Settings, load_settings
from pipelines.silver.price_changes import PRICE_CHANGES
from pipelines.silver.purchases import PURCHASES
from pipelines.table import Table
from pipelines.view import table_names

MANY = 1_000_000

HERE = Path(__file__).parent
ALIKE, APART = (
    (HERE / f"quick_{name}.sql").read_text(encoding="utf-8").splitlines()[1:]
    for name in ("alike", "apart")
)


def purchase(number: int, at: datetime, **fields: object) -> dict[str, object]:
    return {
        "event_id": f"{number:032}",
        "occurred_at": at,
        "item_id": f"i{number}",
        "payload_hash": number,
        "source": "s",
        "source_partition": number,
        "source_offset": number,
        "region": "north",
        "basket_id": "b",
        "quantity": 1,
        "price_cents": 100,
        "amount_cents": 100,
        "currency": "USD",
        **fields,
    }


PURCHASED = [
    purchase(1, datetime(2017, 1, 1), category="DAIRY", customer_id="c1", quantity=3),
    purchase(2, datetime(2017, 1, 1, 23, 59, 59, 999999), category=None, amount_cents=99),
    purchase(3, datetime(2017, 3, 1), category="", region="south", customer_id=""),
    purchase(4, datetime(2017, 12, 31, 23, 30), category="dairy", price_cents=0, quantity=7),
    purchase(5, datetime(2018, 1, 1), category="K\u00e4se", basket_id="it's", quantity=2),
    purchase(6, datetime(1990, 1, 1), category="\U0001f9c0", basket_id="\\ % _"),
    purchase(7, datetime(2017, 6, 30, 12, 30), category="DAIRY", amount_cents=2**53 + 1),
    purchase(8, datetime(2017, 6, 30, 12, 59), category="DRY", customer_id="c2", basket_id="7"),
    purchase(9, datetime(2017, 7, 3), category=None, customer_id="c1", region="south"),
]
CHANGED = [
    purchase(1, datetime(2017, 1, 1), category="DAIRY", price_cents=10),
    purchase(3, datetime(2017, 1, 1), category=None, price_cents=30),
    purchase(8, datetime(2017, 1, 1), category="DRY", region="south", price_cents=80),
]


def put(spark: SparkSession, settings: Settings, table: Table, given: list[dict]) -> None:
    schema = schema_of(table)
    padded = [[row.get(name) for name in schema.names] for row in given]
    write(spark.createDataFrame(padded, schema).repartition(2), settings, table)


@pytest.fixture(scope="module")
def odd_lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Purchases with odd values, one of which was deleted again and left a deletion vector."""
    root = tmp_path_factory.mktemp("odd") / "a lake, it's odd"
    settings = load_settings(overrides={"root": str(root)})
    open_lake(settings, create=True)
    put(spark, settings, PURCHASES, [*PURCHASED, purchase(10, datetime(2017, 1, 1), quantity=999)])
    put(spark, settings, PRICE_CHANGES, CHANGED)
    place = f"delta.`{table_path(settings, PURCHASES.name)}`"
    spark.sql(f"ALTER TABLE {place} SET TBLPROPERTIES (delta.enableDeletionVectors = true)")
    spark.sql(f"DELETE FROM {place} WHERE quantity = 999")
    yield settings


def named(sql: str) -> str:
    """The question with the tables' names in full."""
    for short, name in ((" p", PURCHASES.name), (" c", PRICE_CHANGES.name)):
        for before in ("FROM", "JOIN"):
            for after in (" ", ")"):
                sql = f"{sql} ".replace(
                    f"{before}{short}{after}", f"{before} {name}{_alias(sql, before, short)}{after}"
                ).rstrip(" ")
    return sql


def _alias(sql: str, before: str, short: str) -> str:
    return "" if f"{before}{short} AS " in sql else f" AS{short}"


def by_duckdb(settings: Settings, sql: str) -> pa.Table:
    select = parse_query(sql, settings.query)
    tables = {name: snapshot(settings, name) for name in table_names(select)}
    return quick(select, tables, MANY, settings.query.timeout_s)


def by_spark(spark: SparkSession, settings: Settings, sql: str) -> pa.Table:
    return query(spark, settings, sql).toArrow()


def told(table: pa.Table, sql: str) -> tuple[list[str], list[str]]:
    """Names and rows; a number by its type too, and in any order unless the question says one."""
    plain = [
        {k: v.replace(tzinfo=None) if isinstance(v, datetime) else v for k, v in row.items()}
        for row in table.to_pylist()
    ]
    rows = [repr(tuple(row.values())) for row in plain]
    is_ordered = "ORDER BY" in sql.rsplit(")", 1)[-1]
    return table.column_names, rows if is_ordered else sorted(rows)


@pytest.mark.parametrize("sql", ALIKE)
def test_duckdb_answers_as_spark_does(spark: SparkSession, odd_lake: Settings, sql: str) -> None:
    sql = named(sql)
    expected = told(by_spark(spark, odd_lake, sql), sql)
    assert told(by_duckdb(odd_lake, sql), sql) == expected


def test_no_group_is_lost_beside_an_empty_table() -> None:
    with connect() as connection:
        connection.sql("CREATE TABLE p AS SELECT range % 3 AS item, range % 4 AS n FROM range(12)")
        connection.sql("CREATE TABLE i (item BIGINT, category TEXT, weight BIGINT)")
        grouped = connection.sql(
            "SELECT category, SUM(n) FROM p LEFT JOIN i ON p.item = i.item AND i.weight > 1 "
            "GROUP BY category HAVING SUM(n) > 3"
        )
        assert grouped.fetchall() == [(None, 18)]


@pytest.mark.parametrize("sql", APART)
def test_duckdb_is_not_asked_what_it_may_answer_otherwise(odd_lake: Settings, sql: str) -> None:
    with pytest.raises(Refused):
        by_duckdb(odd_lake, named(sql))


def test_division_by_zero_is_left_to_spark_to_refuse(odd_lake: Settings) -> None:
    with pytest.raises(Refused, match="division by zero"):
        by_duckdb(odd_lake, named("SELECT quantity / price_cents AS x FROM p"))


def test_a_sum_beyond_64_bits_is_left_to_spark_to_refuse(odd_lake: Settings) -> None:
    most = "2147483647 * CAST(2147483647 AS BIGINT) * 2"
    with pytest.raises(Refused, match="DuckDB"):
        by_duckdb(odd_lake, named("SELECT SUM(m) AS x FROM p").replace("m)", f"{most})"))


def test_rows_behind_a_deletion_vector_are_gone(odd_lake: Settings) -> None:
    seen = snapshot(odd_lake, PURCHASES.name)
    assert seen.hidden_rows
    (count,) = by_duckdb(odd_lake, "SELECT COUNT(*) AS n FROM silver.purchases").to_pylist()
    assert count["n"] == len(PURCHASED)


@pytest.mark.parametrize(
    "sql", ["SELECT * FROM gold.top_sellers", "SELECT * FROM gold.item_funnel"]
)
def test_views_of_real_data_are_read_alike(
    spark: SparkSession, golden_lake: Settings, sql: str
) -> None:
    expected = told(by_spark(spark, golden_lake, sql), sql)
    assert len(expected[1]) > 100
    assert told(by_duckdb(golden_lake, sql), sql) == expected


def test_a_table_that_is_not_on_this_disk_is_left_to_spark(lake: Settings) -> None:
    with pytest.raises(Refused, match=r"silver\.purchases is not a table on this disk"):
        snapshot(lake, PURCHASES.name)
    with pytest.raises(Refused):
        snapshot(lake.model_copy(update={"root": "s3a://bucket/lake"}), PURCHASES.name)


def test_a_limit_is_the_smaller_of_both(odd_lake: Settings) -> None:
    asked = "SELECT item_id FROM silver.purchases ORDER BY item_id LIMIT {}"
    for given, at_most, rows in ((3, 2, 2), (2, 3, 2), (100, 100, len(PURCHASED))):
        select = parse_query(asked.format(given), odd_lake.query)
        tables = {name: snapshot(odd_lake, name) for name in table_names(select)}
        assert quick(select, tables, at_most, 60.0).num_rows == rows


def test_dates_are_dates(odd_lake: Settings) -> None:
    sql = "SELECT MIN(CAST(occurred_at AS DATE)) AS d FROM silver.purchases"
    assert by_duckdb(odd_lake, sql).to_pylist() == [{"d": date(1990, 1, 1)}]
    assert Path(odd_lake.root).name == "a lake, it's odd"
