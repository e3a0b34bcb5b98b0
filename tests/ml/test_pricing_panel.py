"""Weekly rows by hand, goods without a unit price, and nothing of what came later."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ml.pricing_panel import unpriced, weekly

END = datetime(2017, 3, 1)
BOUGHT = (
    "event_id STRING, occurred_at TIMESTAMP, item_id STRING, region STRING, category STRING,"
    " quantity BIGINT, price_cents BIGINT, amount_cents BIGINT"
)
PROMOTED = (
    "occurred_at TIMESTAMP, item_id STRING, region STRING, placement STRING, duration_days BIGINT"
)
LINES = [  # days before END, item, region, quantity, price, amount
    (1, "a", "north", 3, 100, 270),
    (2, "a", "south", 1, 100, 100),
    (7, "a", "north", 1, 100, 100),
    (8, "a", "north", 2, 100, 150),
    (15, "a", "south", 1, 0, 0),
    (22, "a", "south", 5, 100, 500),
    (0, "a", "north", 9, 100, 900),
    (3, "new", "north", 1, 50, 50),
]


def bought(spark: SparkSession, lines: list[tuple[Any, ...]]) -> DataFrame:
    rows = [
        (f"e{n}", END - timedelta(days=age), item, region, "TEA", quantity, price, amount)
        for n, (age, item, region, quantity, price, amount) in enumerate(lines)
    ]
    return spark.createDataFrame(rows, BOUGHT)


@pytest.fixture(scope="module")
def promotions(spark: SparkSession) -> DataFrame:
    rows = [
        (END - timedelta(days=14), "a", "north", "display", 7),
        (END - timedelta(days=3), "a", "south", "both", 7),
        (END - timedelta(days=3), "unsold", "south", "both", 7),
    ]
    return spark.createDataFrame(rows, PROMOTED)


@pytest.fixture(scope="module")
def purchases(spark: SparkSession) -> DataFrame:
    return bought(spark, LINES)


def by_week(rows: DataFrame) -> dict[tuple[str, int], tuple[float, ...]]:
    names = ("units", "paid_cents", "displayed", "mailed")
    return {(r["item_id"], r["week"]): tuple(round(r[n], 4) for n in names) for r in rows.collect()}


def test_weeks_end_with_the_last_purchase(purchases: DataFrame, promotions: DataFrame) -> None:
    found = by_week(weekly(purchases, promotions, END, weeks=3))
    south = round(1 / 7, 4)  # of the units of the three weeks
    assert found == {
        ("a", 2): (5.0, 470.0, round(3 / 7 * 1 / 7, 4), round(3 / 7 * 1 / 7, 4)),
        ("a", 1): (2.0, 150.0, round(1 - south, 4), 0.0),
        ("new", 2): (1.0, 50.0, 0.0, 0.0),
    }


def test_of_held_out_weeks_only_their_own_units_are_seen(
    purchases: DataFrame, promotions: DataFrame
) -> None:
    found = by_week(weekly(purchases, promotions, END, weeks=4, held_out=1))
    assert ("new", 3) not in found  # was not sold before
    shares = 5 / 7  # of the south, before the held-out week
    assert found["a", 3][2:] == (round(shares * 3 / 7, 4), round(shares * 3 / 7, 4))


def test_what_came_later_changes_nothing(purchases: DataFrame, promotions: DataFrame) -> None:
    later = purchases.withColumns(
        {"occurred_at": F.col("occurred_at") + F.expr("INTERVAL 40 DAYS"), "quantity": F.lit(99)}
    )
    more = by_week(weekly(purchases.union(later), promotions, END, weeks=3))
    assert more == by_week(weekly(purchases, promotions, END, weeks=3))


def test_goods_sold_by_weight_or_measure_have_no_unit_price(spark: SparkSession) -> None:
    weighed = [(1, "weighed", "north", 1, 100 + n, 100 + n) for n in range(6)]
    packaged = [(1, "packaged", "north", 1, 100 + n // 3, 100) for n in range(6)]
    seldom = [(1, "seldom", "north", 1, 100 + n, 100) for n in range(4)]
    moving = [(30 * n, "moving", "north", 1, 100 + n, 100) for n in range(1, 6)]
    fuel = [(1, "fuel", "north", 9000 + n, 1, 2000) for n in range(3)]
    lines = bought(spark, [*weighed, *packaged, *seldom, *moving, *fuel])
    assert {row["item_id"] for row in unpriced(lines, END).collect()} == {"weighed", "fuel"}
