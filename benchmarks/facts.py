"""Rows shaped as silver's, made by Spark from hashes of a number: the same rows in every run."""

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

DAYS = 30
START_S = 1_793_750_400  # 2026-11-04T00:00:00Z
ITEMS, CATEGORIES, CUSTOMERS = 50_000, 40, 200_000
_REGIONS = ("north", "south", "east", "west", "online")


def purchases(spark: SparkSession, rows: int, files: int) -> DataFrame:
    """Purchases in the order of their arrival, over 30 days, in so many equal parts.

    An item is of one category and has one price; all else is independent of everything.
    """
    price = F.pmod(F.xxhash64("item"), F.lit(9_000)) + 100
    quantity = _hash("quantity", 4) + 1
    return _facts(spark, rows, files).select(
        "*",
        F.format_string("customer-%06d", _hash("customer", CUSTOMERS)).alias("customer_id"),
        F.format_string("basket-%08d", F.expr("id DIV 4")).alias("basket_id"),
        quantity.alias("quantity"),
        price.alias("price_cents"),
        (quantity * price).alias("amount_cents"),
        F.lit("USD").alias("currency"),
    )


def clicks(spark: SparkSession, rows: int, files: int) -> DataFrame:
    """Clicks in the order of their arrival, over 30 days, in so many equal parts."""
    return _facts(spark, rows, files).select(
        "*",
        F.format_string("customer-%06d", _hash("customer", CUSTOMERS)).alias("customer_id"),
        F.format_string("session-%08d", _hash("session", max(1, rows // 6))).alias("session_id"),
    )


def _facts(spark: SparkSession, rows: int, files: int) -> DataFrame:
    micros = F.lit(START_S * 1_000_000) + F.col("id") * (DAYS * 86_400_000_000 // rows)
    return spark.range(0, rows, 1, files).select(
        "id",
        _hash("item", ITEMS).alias("item"),
        _uuid().alias("event_id"),
        F.timestamp_micros(micros).alias("occurred_at"),
        F.format_string("item-%05d", _hash("item", ITEMS)).alias("item_id"),
        F.expr("CAST(NULL AS VARIANT)").alias("attributes"),
        F.xxhash64("id").alias("payload_hash"),
        F.timestamp_micros(micros + _hash("lag", 2_000_000)).alias("produced_at"),
        F.lit("retail-events").alias("source"),
        _hash("partition", 4).cast("int").alias("source_partition"),
        F.expr("id DIV 4").alias("source_offset"),
        F.element_at(F.array(*map(F.lit, _REGIONS)), (_hash("region", 5) + 1).cast("int")).alias(
            "region"
        ),
        F.format_string("category-%02d", _hash("item", ITEMS) % CATEGORIES).alias("category"),
    )


def _hash(salt: str, below: int) -> Column:
    return F.pmod(F.xxhash64("id", F.lit(salt)), F.lit(below))


def _uuid() -> Column:
    digits = F.concat(
        *(F.lpad(F.hex(F.xxhash64("id", F.lit(half))), 16, "0") for half in ("first", "second"))
    )
    parts = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    return F.lower(F.concat_ws("-", *(F.substring(digits, *part) for part in parts)))
