"""What the recommender may know at a moment: pure functions from purchases to histories.

All that is derived here for a moment sees only what happened before it. The ranker's columns are
made of it in `serving.recommender.features`, wherever it is asked.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from serving.recommender.history import LASTING, RECENT

KEYS = ("customer_id", "basket_id", "item_id")
_DAY_MICROS = 86_400_000_000
# A customer's history as parallel arrays, in the order of the item numbers.
HISTORY = ("item", "baskets", "first_age", "last_age", "recent", "lasting")


def lines(purchases: DataFrame) -> DataFrame:
    """One row per customer, basket and item; guests are nobody to learn of.

    Columns: customer_id, basket_id, item_id, occurred_at, region, category, amount_cents, quantity.
    """
    return (
        purchases.where("customer_id IS NOT NULL")
        .groupBy(*KEYS)
        .agg(
            F.max("occurred_at").alias("occurred_at"),
            F.max("region").alias("region"),
            F.max("category").alias("category"),
            F.sum("amount_cents").alias("amount_cents"),
            F.sum("quantity").alias("quantity"),
        )
    )


def before(rows: DataFrame, moment: datetime) -> DataFrame:
    """What happened before a moment."""
    return rows.where(F.col("occurred_at") < F.lit(moment))


def bought_between(rows: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """What customers bought from `start` up to `end`: customer_id, item_id, each pair once."""
    within = (F.col("occurred_at") >= F.lit(start)) & (F.col("occurred_at") < F.lit(end))
    return rows.where(within).select("customer_id", "item_id").distinct()


def moments(end: datetime, weeks: int, count: int) -> list[datetime]:
    """Starts of the last `count` periods of some weeks before `end`, newest first."""
    return [end - timedelta(weeks=weeks * back) for back in range(1, count + 1)]


def pairs(seen: DataFrame, moment: datetime) -> DataFrame:
    """One row per customer and item: what a history says of it, ages in days before `moment`.

    Columns: customer_id, item_id and those of `HISTORY` but the item's number.
    """
    age = _age(moment)
    return seen.groupBy("customer_id", "item_id").agg(
        F.count("*").cast("float").alias("baskets"),
        F.max(age).cast("float").alias("first_age"),
        F.min(age).cast("float").alias("last_age"),
        F.sum(F.pow(F.lit(0.5), age / RECENT)).cast("float").alias("recent"),
        F.sum(F.pow(F.lit(0.5), age / LASTING)).cast("float").alias("lasting"),
    )


def visits(seen: DataFrame, moment: datetime) -> DataFrame:
    """One row per customer: visits, recent_visits (28 days), last_visit_age, usual region."""
    baskets = seen.groupBy("customer_id", "basket_id").agg(
        F.min(_age(moment)).alias("age"), F.max("region").alias("region")
    )
    return baskets.groupBy("customer_id").agg(
        F.count("*").cast("float").alias("visits"),
        F.count_if(F.col("age") < 28).cast("float").alias("recent_visits"),
        F.min("age").cast("float").alias("last_visit_age"),
        F.mode("region", True).alias("region"),
    )


def item_statistics(pairs: DataFrame, seen: DataFrame) -> DataFrame:
    """One row per item, the most widely bought first: `STATISTICS`, its category and its number.

    Shares are of the customers who bought anything in that time.
    """
    last = F.col("last_age")
    active = pairs.groupBy("customer_id").agg(F.min("last_age").alias("last_age"))
    totals = active.agg(
        F.count("*").alias("customers_all"),
        *(F.count_if(last < days).alias(f"active_{days}") for days in (7, 28, 56)),
    )
    by_item = pairs.groupBy("item_id").agg(
        F.count("*").alias("buyers"),
        *(F.count_if(last < days).alias(f"buyers_{days}") for days in (7, 28, 56)),
        F.avg((F.col("baskets") > 1).cast("double")).alias("repeated"),
        F.max("first_age").alias("age"),
    )
    described = seen.groupBy("item_id").agg(
        F.max_by("category", "occurred_at").alias("category"),
        (F.sum("amount_cents") / F.greatest(F.sum("quantity"), F.lit(1))).alias("price"),
    )
    first = Window.orderBy(F.col("buyers").desc(), "item_id")
    return (
        by_item.join(described, "item_id", "inner")
        .crossJoin(F.broadcast(totals))
        .select(
            (F.row_number().over(first) - 1).alias("item"),
            "item_id",
            F.coalesce("category", F.lit("")).alias("category"),
            "buyers",
            _share("buyers", "customers_all").alias("customers"),
            _share("buyers_7", "active_7").alias("week"),
            _share("buyers_28", "active_28").alias("month"),
            _share("buyers_56", "active_56").alias("two_months"),
            F.col("repeated").cast("float"),
            F.col("age").cast("float"),
            F.col("price").cast("float"),
        )
    )


def region_shares(seen: DataFrame, moment: datetime) -> DataFrame:
    """One row per region and item bought there within 56 days: region, item_id, share."""
    late = seen.where((_age(moment) < 56) & F.col("region").isNotNull())
    customers = late.groupBy("region").agg(F.count_distinct("customer_id").alias("customers"))
    buyers = late.groupBy("region", "item_id").agg(F.count_distinct("customer_id").alias("buyers"))
    return buyers.join(F.broadcast(customers), "region", "inner").select(
        "region", "item_id", _share("buyers", "customers").alias("share")
    )


def histories(pairs: DataFrame, visits: DataFrame, numbers: DataFrame) -> DataFrame:
    """One row per customer: the arrays of `HISTORY` in the order of the numbers, and the visits.

    Args:
        numbers: item_id, item (its number); items without one are left out.
    """
    listed = (
        pairs.join(F.broadcast(numbers), "item_id", "inner")
        .groupBy("customer_id")
        .agg(F.sort_array(F.collect_list(F.struct(*HISTORY))).alias("held"))
    )
    return listed.join(visits, "customer_id", "inner").select(
        "customer_id",
        *(F.col(f"held.{name}").alias(name) for name in HISTORY),
        "visits",
        "recent_visits",
        "last_visit_age",
        "region",
    )


def histories_at(seen: DataFrame, moment: datetime, item_ids: Sequence[str]) -> DataFrame:
    """Every customer's history at a moment, by the place of each item in `item_ids`."""
    numbers = seen.sparkSession.createDataFrame(
        pa.table({"item_id": item_ids, "item": pa.array(range(len(item_ids)), pa.int32())})
    )
    known = before(seen, moment)
    return histories(pairs(known, moment), visits(known, moment), numbers)


def _age(moment: datetime) -> Column:
    """Days before a moment."""
    return (F.unix_micros(F.lit(moment)) - F.unix_micros("occurred_at")) / F.lit(_DAY_MICROS)


def _share(part: str, whole: str) -> Column:
    return (F.col(part) / F.greatest(F.col(whole), F.lit(1))).cast("float")
