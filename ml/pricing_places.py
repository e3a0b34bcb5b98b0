"""Between the demand model and the tables of gold: rows in, rows out, on Spark."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ml.pricing_model import Demand
from ml.pricing_suggest import Advice, advise, places_of
from pipelines.gold.elasticities import ELASTICITIES
from pipelines.gold.price_suggestions import PRICE_SUGGESTIONS
from pipelines.settings_sections import PricingSettings

Z90 = 1.645  # a normal distribution holds 90 % within so many standard deviations
RECENT_DAYS = 56  # of sales that an item's regions share its demand by


def elasticity_rows(spark: SparkSession, demand: Demand) -> DataFrame:
    """The model as rows of gold.elasticities."""
    known = [
        (name, c.mean[0], c.deviation[0], c.mean[1], c.mean[2], c.item_count)
        for name, c in demand.categories.items()
    ]
    schema = (
        "name STRING, elasticity DOUBLE, elasticity_sd DOUBLE, displayed DOUBLE, mailed DOUBLE,"
        " item_count INT"
    )
    categories = spark.createDataFrame(known, schema).withColumns(
        {"kind": F.lit("category"), "category": F.col("name")}
    )
    level = F.col("demand_shape") / F.col("demand_rate")
    recent = F.aggregate("recent", F.lit(0.0), lambda total, units: total + units)
    weeks = F.greatest(F.lit(1), F.size("recent"))
    items = demand.items.withColumnsRenamed({"item_id": "name"}).withColumns(
        {
            "kind": F.lit("item"),
            "item_count": F.lit(1),
            "units_per_week": level,
            "shift": level / F.greatest(F.lit(1e-9), recent / weeks) - 1,
        }
    )
    either = items.unionByName(categories, allowMissingColumns=True)
    margin = Z90 * F.col("elasticity_sd")
    either = either.withColumns(
        {
            "elasticity_low": F.col("elasticity") - margin,
            "elasticity_high": F.col("elasticity") + margin,
        }
    )
    return either.select(*ELASTICITIES.columns)


def places(
    elasticities: DataFrame,
    prices: DataFrame,
    stock: DataFrame,
    items: DataFrame,
    purchases: DataFrame,
) -> DataFrame:
    """Every item in a region that has a price and a demand, with all that a suggestion needs.

    Args:
        elasticities: gold.elasticities.
        prices: gold.current_prices.
        stock: gold.stockout_risk.
        items: silver.items; attribute `cost_cents` is the cost of a unit.
        purchases: silver.purchases.
    """
    demand = elasticities.where("kind = 'item'").withColumnRenamed("name", "item_id")
    cost = F.try_variant_get("attributes", "$.cost_cents", "double")
    costs = items.select("item_id", F.when(cost > 0, cost).alias("cost_cents"))
    on_hand = stock.select("item_id", "region", "quantity", "days_of_cover")
    return (
        prices.join(demand, "item_id", "inner")
        .join(_regional(purchases), ["item_id", "region"], "inner")
        .join(on_hand, ["item_id", "region"], "left")
        .join(costs, "item_id", "left")
    )


def suggested(places: DataFrame, as_of: datetime, settings: PricingSettings) -> DataFrame:
    """Rows of gold.price_suggestions for places."""
    schema = " ".join(PRICE_SUGGESTIONS.schema.replace("NOT NULL", "").split())

    def suggest(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            rows = pa.Table.from_batches([batch])
            found = places_of(rows, as_of, settings)
            yield from _rows(rows, advise(found, settings), found.units, as_of).to_batches()

    made = places.mapInArrow(suggest, schema)
    return made


def _regional(purchases: DataFrame) -> DataFrame:
    """Share of an item's late sales in each region, and the usual shelf price there."""
    last = purchases.agg(F.max("occurred_at").alias("last_at"))
    since = F.col("last_at") - F.make_dt_interval(F.lit(RECENT_DAYS))
    late = purchases.crossJoin(F.broadcast(last)).where(F.col("occurred_at") > since)
    by_region = late.groupBy("item_id", "region").agg(
        F.sum("quantity").alias("units"),
        F.median("price_cents").alias("usual_shelf_cents"),
    )
    total = by_region.groupBy("item_id").agg(F.sum("units").alias("all_units"))
    share = F.col("units") / F.col("all_units")
    joined = by_region.join(total, "item_id", "inner").withColumn("region_share", share)
    return joined.select("item_id", "region", "region_share", "usual_shelf_cents")


def _rows(rows: pa.Table, advice: Advice, units: np.ndarray, as_of: datetime) -> pa.Table:
    now = rows["price_cents"].to_numpy()
    count = len(now)
    effects = {
        f"{name}{end}": values[:, place]
        for name, values, ends in (
            ("units_change", advice.units, ("", "_low", "_high")),
            ("profit_change", advice.profit, ("_cents", "_low", "_high")),
        )
        for place, end in enumerate(ends)
    }
    columns = {
        "item_id": rows["item_id"],
        "region": rows["region"],
        "currency": rows["currency"],
        "price_cents": now,
        "suggested_cents": advice.price,
        "is_change": advice.price != now,
        "elasticity": rows["elasticity"],
        "elasticity_sd": rows["elasticity_sd"],
        "units_per_week": units,
        **effects,
        "confidence": pa.array(advice.confidence, from_pandas=True),
        "reason": pa.array(advice.reasons, pa.string()),
        "as_of_at": pa.array([as_of] * count, pa.timestamp("us", tz="UTC")),
    }
    return pa.table({name: columns[name] for name in PRICE_SUGGESTIONS.columns})
