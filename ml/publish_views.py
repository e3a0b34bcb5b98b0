"""From gold views to the online store: best sellers, prices, stock."""

import json
from collections.abc import Iterator

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.query import query
from pipelines.io.read import NOT_YET, read, version_of
from pipelines.settings import Settings
from serving.online import JSONValue

Entries = Iterator[tuple[str, JSONValue]]


def of_views(spark: SparkSession, settings: Settings) -> dict[str, tuple[str, Entries]]:
    """What the refreshed views answer: each kind's version and entries."""
    found: dict[str, tuple[str, Entries]] = {}
    for kind, view, read_entries in (
        ("top_sellers", "gold.top_sellers", _top_sellers),
        ("trending", "gold.trending_items", _trending),
        ("prices", "gold.current_prices", _prices),
        ("inventory", "gold.inventory_levels", _inventory),
    ):
        version = version_of(spark, settings, view)
        if version != NOT_YET:
            found[kind] = (str(version), read_entries(spark, settings))
    return found


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
    yield from grouped(rows, "place", entry, "items", date=F.max("last_date"))


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
    yield from grouped(rows, "place", entry, "items")


def _prices(spark: SparkSession, settings: Settings) -> Entries:
    rows = read(spark, settings, "gold.current_prices")
    entry = F.struct("region", "price_cents", "currency", "changed_at")
    yield from grouped(rows, "item_id", entry, "prices")


def _inventory(spark: SparkSession, settings: Settings) -> Entries:
    rows = read(spark, settings, "gold.inventory_levels")
    yield from grouped(rows, "item_id", F.struct("region", "quantity", "changed_at"), "levels")


def grouped(rows: DataFrame, key: str, entry: Column, name: str, **extra: Column) -> Entries:
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
