"""What the recommender learns from: pure functions from silver to training rows."""

from datetime import datetime, timedelta

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F


def interactions(purchases: DataFrame, until: datetime | None = None) -> DataFrame:
    """How often a customer bought an item: customer_id, item_id, strength (baskets, >= 1).

    Args:
        purchases: silver.purchases.
        until: rows at or after this instant are not seen; None sees all.
    """
    seen = purchases if until is None else purchases.where(F.col("occurred_at") < F.lit(until))
    return (
        seen.where("customer_id IS NOT NULL")
        .groupBy("customer_id", "item_id")
        .agg(F.count_distinct("basket_id").cast("double").alias("strength"))
    )


def frequent(rows: DataFrame, min_item_purchases: int) -> DataFrame:
    """Interactions of the items that were bought often enough to learn from."""
    total = F.sum("strength").over(Window.partitionBy("item_id"))
    return rows.withColumn("total", total).where(F.col("total") >= min_item_purchases).drop("total")


def indexed(rows: DataFrame, id_column: str, index_column: str) -> DataFrame:
    """Distinct ids with a dense number each, as ALS wants them; the same at every run."""
    ids = rows.select(id_column).distinct()
    number = F.row_number().over(Window.orderBy(id_column)) - 1
    return ids.withColumn(index_column, number.cast("int"))


def holdout_start(last_purchase: datetime, test_weeks: int) -> datetime:
    """First instant of the held-out weeks, which end with the last purchase."""
    return last_purchase - timedelta(weeks=test_weeks)


def new_to_customer(purchases: DataFrame, start: datetime) -> DataFrame:
    """What customers first bought at or after `start`: customer_id, item_id."""
    firsts = (
        purchases.where("customer_id IS NOT NULL")
        .groupBy("customer_id", "item_id")
        .agg(F.min("occurred_at").alias("first_at"))
    )
    return firsts.where(F.col("first_at") >= F.lit(start)).select("customer_id", "item_id")
