"""What pricing learns from: units, prices paid and promotions by item and week, from silver."""

from datetime import datetime, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

DAYS = 7
# Two lines of a packaged good mostly agree on the price of a unit, two of a good sold by weight,
# whose "unit price" is what the scales said, almost never do; see docs/pricing.md.
WEIGHED_DISAGREEMENT = 0.85
WEIGHED_MIN_PAIRS = 10
# Of these an item is sold by measure, as fuel is by thousandths of a gallon: no basket holds so
# many of a packaged good, of which 99 % of the lines have at most 5.
MEASURED_QUANTITY = 20


def weekly(
    purchases: DataFrame, promotions: DataFrame, end: datetime, weeks: int, held_out: int = 0
) -> DataFrame:
    """The last `weeks` weeks before `end`, of every item that was sold before the held-out ones.

    Goods sold by weight and lines without a price are left out. Nothing at or after `end` is
    seen; of the held-out weeks their own units, prices and promotions alone.

    Args:
        purchases: silver.purchases.
        promotions: silver.promotions.
        held_out: weeks at the end that are to be predicted.

    Returns:
        item_id, category, week (0 is the first), units, paid_cents, displayed and mailed: the
        shares of the item's sales region by region that were promoted, in [0, 1]. Weeks in which
        nothing happened have no row.
    """
    number = _week(F.col("occurred_at"), end, weeks)
    sold = (
        purchases.withColumn("week", number)
        .where(F.col("week").between(0, weeks - 1))
        .where((F.col("price_cents") > 0) & (F.col("amount_cents") > 0))
        .join(unpriced(purchases, end - timedelta(weeks=held_out)), "item_id", "left_anti")
    )
    known = sold.where(F.col("week") < weeks - held_out)
    by_week = sold.groupBy("item_id", "week").agg(
        F.sum("quantity").cast("double").alias("units"),
        F.sum("amount_cents").cast("double").alias("paid_cents"),
    )
    of_item = F.max_by("category", F.struct("occurred_at", "event_id"))
    category = known.groupBy("item_id").agg(F.coalesce(of_item, F.lit("")).alias("category"))
    promoted = promoted_shares(known, promotions, end, weeks)
    zeros = ("units", "paid_cents", "displayed", "mailed")
    return (
        by_week.join(promoted, ["item_id", "week"], "full")
        .join(category, "item_id", "inner")
        .fillna(0.0, zeros)
        .select("item_id", "category", "week", *zeros)
    )


def unpriced(purchases: DataFrame, end: datetime) -> DataFrame:
    """Goods without a price of a unit, as they are sold by weight or measure: item_id.

    By measure are those that are mostly bought in more than `MEASURED_QUANTITY`. By weight: among
    lines of one unit of an item, in a region and week: how often do two show different
    prices? Above `WEIGHED_DISAGREEMENT` of at least `WEIGHED_MIN_PAIRS` pairs it is weighed.
    """
    seen = purchases.where(F.col("occurred_at") < F.lit(end))
    middle = seen.groupBy("item_id").agg(F.median("quantity").alias("quantity"))
    measured = middle.where(F.col("quantity") > MEASURED_QUANTITY).select("item_id")
    one = seen.where("quantity = 1")
    day = F.date_trunc("week", "occurred_at")
    same = one.groupBy("item_id", "region", day.alias("monday"), "price_cents").count()
    groups = same.groupBy("item_id", "region", "monday").agg(
        F.sum("count").alias("lines"), F.sum(_pairs("count")).alias("agree")
    )
    items = groups.groupBy("item_id").agg(
        F.sum(_pairs("lines")).alias("pairs"), F.sum("agree").alias("agree")
    )
    is_enough = F.col("pairs") >= WEIGHED_MIN_PAIRS
    apart = 1 - F.col("agree") / F.col("pairs")
    weighed = items.where(is_enough & (apart > WEIGHED_DISAGREEMENT)).select("item_id")
    return weighed.union(measured).distinct()


def promoted_shares(sold: DataFrame, promotions: DataFrame, end: datetime, weeks: int) -> DataFrame:
    """Share of an item's sales whose region was promoted in a week: item_id, week, two shares.

    A promotion of some days of a week counts for as much of it.
    """
    region = sold.groupBy("item_id", "region").agg(F.sum("quantity").alias("units"))
    total = region.groupBy("item_id").agg(F.sum("units").alias("all_units"))
    share = region.join(total, "item_id", "inner").selectExpr(
        "item_id", "region", "units / all_units AS share"
    )
    days = F.sequence(F.lit(0), F.col("duration_days").cast("int") - 1)
    daily = promotions.select(
        "item_id", "region", "placement", "occurred_at", F.explode(days).alias("day")
    )
    at = F.col("occurred_at") + F.make_dt_interval(F.col("day"))
    placed = daily.withColumn("week", _week(at, end, weeks)).where(
        F.col("week").between(0, weeks - 1)
    )
    in_region = placed.groupBy("item_id", "region", "week").agg(
        *(
            F.least(F.lit(1.0), F.count_if(F.col("placement").isin(kind, "both")) / DAYS).alias(k)
            for k, kind in (("displayed", "display"), ("mailed", "mailer"))
        )
    )
    weighted = in_region.join(share, ["item_id", "region"], "inner")
    return weighted.groupBy("item_id", "week").agg(
        F.sum(F.col("displayed") * F.col("share")).alias("displayed"),
        F.sum(F.col("mailed") * F.col("share")).alias("mailed"),
    )


def _week(at: Column, end: datetime, weeks: int) -> Column:
    """Number of the week of an instant; the last one, `weeks` - 1, ends at `end`."""
    seconds = F.unix_timestamp(F.lit(end)) - F.unix_timestamp(at)
    return (F.lit(weeks) - F.ceil(seconds / (86_400 * DAYS))).cast("int")


def _pairs(count: str) -> Column:
    return F.col(count) * (F.col(count) - 1) / 2
