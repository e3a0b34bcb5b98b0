"""What search knows of items and customers from purchases, as of an instant: it sees none later.

Declared once: the index that is served, the one that the weights are learned on and the one that
is measured are made of these rows; only `as_of` differs.
"""

from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def popularity(purchases: DataFrame, as_of: datetime, days: float) -> DataFrame:
    """Per item: purchases (all lines) and popularity, log(1 + lines, `days` ago counting 1/e)."""
    seen = purchases.where(F.col("occurred_at") < F.lit(as_of))
    return seen.groupBy("item_id").agg(
        F.count("*").cast("double").alias("purchases"),
        F.log1p(F.sum(_faded(as_of, days))).alias("popularity"),
    )


def tastes(purchases: DataFrame, as_of: datetime, days: float) -> DataFrame:
    """Per customer and item: baskets that held it, and the same with `days` ago counting 1/e."""
    seen = purchases.where((F.col("occurred_at") < F.lit(as_of)) & F.col("customer_id").isNotNull())
    baskets = seen.groupBy("customer_id", "item_id", "basket_id").agg(
        F.max(_faded(as_of, days)).alias("weight")
    )
    return baskets.groupBy("customer_id", "item_id").agg(
        F.count("*").cast("double").alias("baskets"), F.sum("weight").alias("recent")
    )


def queries(purchases: DataFrame, items: DataFrame, start: datetime, end: datetime) -> DataFrame:
    """Purchases in [start, end) as if each had been searched for.

    The text is the words of the product's type (attribute `product_type`), or of its category
    where the catalogue has no types; items with neither, and guests, are left out.

    Returns:
        event_id, customer_id, item_id, text, is_held_out (true for half of the customers).
    """
    kind = F.try_variant_get("attributes", "$.product_type", "string")
    named = items.select("item_id", F.coalesce(kind, "category").alias("text"))
    at = F.col("occurred_at")
    within = (at >= F.lit(start)) & (at < F.lit(end)) & F.col("customer_id").isNotNull()
    return (
        purchases.where(within)
        .join(named.where(F.col("text").rlike(r"[\p{L}\p{N}]")), "item_id", "inner")
        .withColumn("is_held_out", F.pmod(F.xxhash64("customer_id"), F.lit(2)) == 1)
        .select("event_id", "customer_id", "item_id", "text", "is_held_out")
    )


def _faded(as_of: datetime, days: float) -> Column:
    """1 at `as_of`, 1/e `days` earlier."""
    age = F.unix_timestamp(F.lit(as_of)) - F.unix_timestamp("occurred_at")
    return F.exp(-age / F.lit(86_400 * days))
