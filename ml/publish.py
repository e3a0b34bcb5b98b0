"""From gold to the online store: the answers that the API gives, each kind switched at once."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from ml import tracking
from ml.features import interactions
from ml.recommend import popular, similar_items
from pipelines.gold.recommendations import RECOMMENDATIONS
from pipelines.io.query import query
from pipelines.io.read import read, version_of
from pipelines.settings import Settings
from pipelines.silver.items import ITEMS
from pipelines.silver.purchases import PURCHASES
from serving.online import JSONValue, OnlineStore

SIMILAR = 20

Entries = Iterator[tuple[str, JSONValue]]


def publish(
    spark: SparkSession,
    settings: Settings,
    store: OnlineStore,
    progress: Callable[[str, int], None] = lambda kind, entries: None,
) -> dict[str, int]:
    """Publish every kind of answer; returns the number of entries per kind.

    A kind's version names the gold commit or model that it shows, so publishing again what is
    already published changes nothing.
    """
    champion = tracking.by_alias(settings, tracking.CHAMPION)
    model = champion.version
    items = read(spark, settings, ITEMS.name).select("item_id", "title", "category")
    kinds: dict[str, tuple[str, Entries]] = {
        "recommendations": (model, _recommendations(spark, settings, items)),
        "popular": (model, _popular(spark, settings, items)),
        "similar": (model, _similar(spark, settings, champion, items)),
    }
    for kind, view, read_entries in (
        ("top_sellers", "gold.top_sellers", _top_sellers),
        ("trending", "gold.trending_items", _trending),
        ("prices", "gold.current_prices", _prices),
        ("inventory", "gold.inventory_levels", _inventory),
    ):
        version = str(version_of(spark, settings, view))
        kinds[kind] = (version, read_entries(spark, settings))
    published = {}
    for kind, (version, entries) in kinds.items():
        ttl = settings.online.ttl_s.get(kind)
        published[kind] = store.publish(
            kind,
            entries,
            version=version,
            published_at=datetime.now(UTC),
            ttl=None if ttl is None else timedelta(seconds=ttl),
        )
        progress(kind, published[kind])
    return published


def _recommendations(spark: SparkSession, settings: Settings, items: DataFrame) -> Entries:
    rows = read(spark, settings, RECOMMENDATIONS.name).join(items, "item_id", "left")
    reason = F.lit("customers with similar baskets bought it")
    entry = F.struct("rank", "item_id", "title", "category", "score", reason.alias("reason"))
    yield from _grouped(rows, "customer_id", entry, "items")


def _popular(spark: SparkSession, settings: Settings, items: DataFrame) -> Entries:
    bought = interactions(read(spark, settings, PURCHASES.name))
    rows = popular(bought, settings.model.top_k).join(items, "item_id", "left")
    entry = F.struct(
        "rank",
        "item_id",
        "title",
        "category",
        F.col("customers").cast("double").alias("score"),
        F.lit("bought by most customers").alias("reason"),
    )
    yield from _grouped(rows.withColumn("all", F.lit("all")), "all", entry, "items")


def _similar(
    spark: SparkSession, settings: Settings, champion: tracking.Version, items: DataFrame
) -> Entries:
    recommender = tracking.load(spark, settings, champion)
    known = recommender.items.join(items, "item_id", "left")
    factors = recommender.model.itemFactors.withColumnRenamed("id", "item_index")
    rows = known.join(factors, "item_index", "inner").orderBy("item_index").toArrow().to_pydict()
    matrix = np.asarray(rows["features"], dtype=np.float32)
    neighbours, similarity = similar_items(matrix, SIMILAR)
    reason = "bought by the same customers"
    for row, item_id in enumerate(rows["item_id"]):
        yield (
            item_id,
            {
                "items": [
                    {
                        "item_id": rows["item_id"][other],
                        "title": rows["title"][other],
                        "category": rows["category"][other],
                        "score": round(float(score), 4),
                        "reason": reason,
                    }
                    for other, score in zip(neighbours[row], similarity[row], strict=True)
                ]
            },
        )


def _top_sellers(spark: SparkSession, settings: Settings) -> Entries:
    """Best sellers of the last week, per category and region and for all (`*`)."""
    rows = query(
        spark,
        settings,
        """
        WITH last AS (SELECT MAX(sale_date) AS last_date FROM gold.top_sellers),
        week AS (
          SELECT t.*, last.last_date FROM gold.top_sellers AS t CROSS JOIN last
          WHERE t.sale_date > DATE_SUB(last.last_date, 7)
        ),
        totals AS (
          SELECT
            CONCAT(COALESCE(category, '*'), '|', COALESCE(region, '*')) AS place,
            item_id, SUM(units) AS units, SUM(revenue_cents) AS revenue_cents,
            MAX(last_date) AS last_date
          FROM week
          GROUP BY GROUPING SETS (
            (category, region, item_id), (category, item_id), (region, item_id), (item_id)
          )
        ),
        ranked AS (
          SELECT *, ROW_NUMBER() OVER (
            PARTITION BY place ORDER BY units DESC, revenue_cents DESC, item_id
          ) AS rank FROM totals
        )
        SELECT r.place, r.rank, r.item_id, i.title, r.units, r.revenue_cents, r.last_date
        FROM ranked AS r LEFT JOIN silver.items AS i ON r.item_id = i.item_id
        WHERE r.rank <= 100
        """,
    )
    entry = F.struct("rank", "item_id", "title", "units", "revenue_cents")
    yield from _grouped(rows, "place", entry, "items", date=F.max("last_date"))


def _trending(spark: SparkSession, settings: Settings) -> Entries:
    """The most trending items of all and of each category; gold does not tell regions apart."""
    rows = query(
        spark,
        settings,
        """
        WITH titled AS (
          SELECT v.*, COALESCE(i.title, v.item_id) AS title, i.category
          FROM gold.trending_items AS v LEFT JOIN silver.items AS i ON v.item_id = i.item_id
        ),
        ranked AS (
          SELECT *, CONCAT(place_category, '|*') AS place, ROW_NUMBER() OVER (
            PARTITION BY place_category ORDER BY score DESC, event_count DESC, item_id
          ) AS rank
          FROM (
            SELECT *, '*' AS place_category FROM titled
            UNION ALL
            SELECT *, category AS place_category FROM titled WHERE category IS NOT NULL
          ) AS places
        )
        SELECT place, rank, item_id, title, event_count, usual_count, score
        FROM ranked WHERE rank <= 100
        """,
    )
    entry = F.struct("rank", "item_id", "title", "event_count", "usual_count", "score")
    yield from _grouped(rows, "place", entry, "items")


def _prices(spark: SparkSession, settings: Settings) -> Entries:
    rows = read(spark, settings, "gold.current_prices")
    entry = F.struct("region", "price_cents", "currency", "changed_at")
    yield from _grouped(rows, "item_id", entry, "prices")


def _inventory(spark: SparkSession, settings: Settings) -> Entries:
    rows = read(spark, settings, "gold.inventory_levels")
    yield from _grouped(rows, "item_id", F.struct("region", "quantity", "changed_at"), "levels")


def _grouped(rows: DataFrame, key: str, entry: Column, name: str, **extra: Column) -> Entries:
    """One entry per key: its rows as a list under `name`, in the order of their first field.

    Spark makes the JSON; the driver holds one Arrow batch of texts at a time.
    """
    further = [column.alias(alias) for alias, column in extra.items()]
    lists = rows.groupBy(key).agg(F.sort_array(F.collect_list(entry)).alias(name), *further)
    value = F.to_json(F.struct(name, *extra), {"ignoreNullFields": "false"})
    table: pa.Table = lists.select(F.col(key).alias("key"), value.alias("value")).toArrow()
    for batch in table.to_batches():
        for one, text in zip(batch["key"].to_pylist(), batch["value"].to_pylist(), strict=True):
            yield one, json.loads(text)
