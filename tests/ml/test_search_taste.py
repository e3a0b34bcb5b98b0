"""What search learns from: counts worked out by hand, and nothing of what came later."""

import math
from datetime import datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ml.search_taste import popularity, queries, tastes

NOW = datetime(2017, 3, 1)
BOUGHT = (
    "event_id STRING, occurred_at TIMESTAMP, customer_id STRING, item_id STRING, basket_id STRING"
)
ROWS = [  # days before NOW, customer, item, basket
    (10.0, "c1", "a", "b1"),
    (10.0, "c1", "a", "b1"),
    (20.0, "c1", "a", "b2"),
    (5.0, None, "a", "b3"),
    (0.5, "c2", "b", "b4"),
    (0.0, "c2", "a", "b5"),
    (-3.0, "c1", "c", "b6"),
]


@pytest.fixture(scope="module")
def purchases(spark: SparkSession) -> DataFrame:
    rows = [(f"e{n}", NOW - timedelta(days=age), *rest) for n, (age, *rest) in enumerate(ROWS)]
    return spark.createDataFrame(rows, BOUGHT)


def test_popularity_counts_lines_and_fades_them(purchases: DataFrame) -> None:
    found = {row["item_id"]: row for row in popularity(purchases, NOW, 10.0).collect()}
    assert set(found) == {"a", "b"}
    assert found["a"]["purchases"] == 4
    faded = 2 * math.exp(-1) + math.exp(-2) + math.exp(-0.5)
    assert found["a"]["popularity"] == pytest.approx(math.log1p(faded))


def test_a_taste_counts_baskets_of_known_customers(purchases: DataFrame) -> None:
    found = {(r["customer_id"], r["item_id"]): r for r in tastes(purchases, NOW, 10.0).collect()}
    assert set(found) == {("c1", "a"), ("c2", "b")}
    assert found["c1", "a"]["baskets"] == 2
    assert found["c1", "a"]["recent"] == pytest.approx(math.exp(-1) + math.exp(-2))


def test_what_came_later_changes_nothing(spark: SparkSession, purchases: DataFrame) -> None:
    later = purchases.withColumns(
        {"occurred_at": F.col("occurred_at") + F.expr("INTERVAL 30 DAYS"), "item_id": F.lit("b")}
    )
    more = purchases.union(later)
    for rows in (popularity, tastes):
        known = rows(purchases, NOW, 10.0)
        assert rows(more, NOW, 10.0).exceptAll(known).isEmpty()
        assert known.exceptAll(rows(more, NOW, 10.0)).isEmpty()


def test_what_is_measured_on_was_never_learned_from(
    spark: SparkSession, purchases: DataFrame
) -> None:
    items = _items(spark, [("a", "TEA", None), ("b", "TEA", None), ("c", "TEA", None)])
    seen = purchases.where(F.col("occurred_at") < F.lit(NOW))
    asked = queries(purchases, items, NOW, NOW + timedelta(days=9))
    assert asked.join(seen, "event_id", "inner").isEmpty()
    assert {row["event_id"] for row in asked.collect()} == {"e5", "e6"}


def test_a_query_is_the_products_type_else_its_category(
    spark: SparkSession, purchases: DataFrame
) -> None:
    items = _items(spark, [("a", "TEA", '{"product_type": "GREEN TEA"}'), ("b", "TEA", "{}")])
    asked = queries(purchases, items, NOW - timedelta(days=1), NOW + timedelta(days=1))
    told = {row["item_id"]: row["text"] for row in asked.collect()}
    assert told == {"a": "GREEN TEA", "b": "TEA"}
    wordless = _items(spark, [("a", None, '{"product_type": "--"}'), ("b", None, None)])
    assert queries(purchases, wordless, datetime(2017, 1, 1), NOW).isEmpty()


def _items(spark: SparkSession, rows: list[tuple[str, str | None, str | None]]) -> DataFrame:
    made = spark.createDataFrame(rows, "item_id STRING, category STRING, json STRING")
    return made.withColumn("attributes", F.parse_json("json"))
