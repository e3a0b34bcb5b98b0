"""The tables and views of `make bench-views`, and the changes that they go through."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.lake import table_path
from pipelines.io.write import PROPERTIES
from pipelines.settings import Settings
from pipelines.view import View, load_view

FACTS, ITEMS = "bench.facts", "bench.items"
DAYS, START = 90, 1483228800  # 2017-01-01
RECENT_S = 48 * 3600

VIEWS = {
    "additive": """
        SELECT
          category_id, -- category
          store_id, -- store
          DATE_TRUNC('HOUR', occurred_at) AS hour_at, -- hour
          SUM(quantity) AS units, -- units
          SUM(amount_cents) AS revenue_cents, -- money
          COUNT(*) AS purchase_count -- lines
        FROM bench.facts
        GROUP BY ALL
    """,
    "join_sum": """
        SELECT
          i.brand_id, -- brand
          CAST(f.occurred_at AS DATE) AS sale_date, -- day
          SUM(f.amount_cents) AS revenue_cents, -- money
          COUNT(*) AS purchase_count -- lines
        FROM bench.facts AS f JOIN bench.items AS i ON f.item_id = i.item_id
        GROUP BY ALL
    """,
    "distinct": """
        SELECT
          store_id, -- store
          CAST(occurred_at AS DATE) AS sale_date, -- day
          COUNT(DISTINCT customer_id) AS customer_count -- customers
        FROM bench.facts
        GROUP BY ALL
    """,
    "top_n": """
        WITH daily AS (
          SELECT store_id, CAST(occurred_at AS DATE) AS sale_date, item_id, SUM(quantity) AS units
          FROM bench.facts GROUP BY ALL
        ),
        ranked AS (
          SELECT *, ROW_NUMBER() OVER (
            PARTITION BY store_id, sale_date ORDER BY units DESC, item_id
          ) AS rank
          FROM daily
        )
        SELECT
          store_id, -- store
          sale_date, -- day
          rank, -- rank
          item_id, -- item
          units -- units
        FROM ranked
        WHERE rank <= 10
    """,
    "min_max": """
        SELECT
          item_id, -- item
          MIN(amount_cents) AS least_cents, -- least
          MAX(amount_cents) AS most_cents, -- most
          MAX(occurred_at) AS last_at -- last sale
        FROM bench.facts
        GROUP BY ALL
    """,
}  # fmt: skip
KEYS = {
    "additive": "category_id, store_id, hour_at", "join_sum": "brand_id, sale_date",
    "distinct": "store_id, sale_date", "top_n": "store_id, sale_date, rank", "min_max": "item_id",
}  # fmt: skip
CLUSTERED = {"additive": "hour_at", "distinct": "sale_date", "top_n": "sale_date"}


@dataclass(frozen=True)
class Case:
    """A change of a share of the facts' rows."""

    share: float
    place: str
    kind: str

    def __str__(self) -> str:
        return f"{self.share:.2%} {self.place} {self.kind}"


def facts(spark: SparkSession, first: int, rows: int, start: int, span_s: int) -> DataFrame:
    """Sales with ids from `first` on, evenly over `span_s` seconds from `start`."""

    def pick(salt: int, among: int) -> F.Column:
        return F.pmod(F.xxhash64("id", F.lit(salt)), F.lit(among)).cast("int")

    at = F.lit(start * 10**6) + (F.col("id") - first) * F.lit(max(1, span_s * 10**6 // rows))
    return spark.range(first, first + rows, 1, 16).select(
        F.col("id").alias("event_id"),
        pick(1, 100_000).alias("item_id"),
        pick(2, 41).alias("store_id"),
        pick(3, 100).alias("category_id"),
        pick(4, 200_000).alias("customer_id"),
        F.timestamp_micros(at).alias("occurred_at"),
        (pick(5, 5) + 1).alias("quantity"),
        (pick(6, 9900) + 100).cast("bigint").alias("amount_cents"),
    )


def make(spark: SparkSession, settings: Settings, rows: int) -> None:
    """The facts in files of about a day each, as an ingest leaves them, and the dimension."""
    items = spark.range(100_000).select(
        F.col("id").cast("int").alias("item_id"),
        F.pmod(F.xxhash64("id"), F.lit(1000)).cast("int").alias("brand_id"),
    )
    whole = facts(spark, 0, rows, START, DAYS * 24 * 3600).repartitionByRange(DAYS, "occurred_at")
    for name, frame in ((FACTS, whole), (ITEMS, items.coalesce(1))):
        fields = [F.col(c).alias(c) for c in frame.columns]
        builder = DeltaTable.create(spark).location(table_path(settings, name))
        for field in frame.schema:
            builder = builder.addColumn(field.name, field.dataType, nullable=False)
        for key, value in PROPERTIES.items():
            builder = builder.property(key, value)
        builder.execute()
        frame.select(*fields).write.format("delta").mode("append").save(table_path(settings, name))


def change(spark: SparkSession, settings: Settings, rows: int, case: Case) -> None:
    """Change a share of the facts: all new, or half new, a quarter updated, a quarter deleted."""
    count = max(4, int(rows * case.share))
    is_recent = case.place == "recent"
    end = START + DAYS * 24 * 3600
    start, span = (end - RECENT_S, RECENT_S) if is_recent else (START, DAYS * 24 * 3600)
    path = table_path(settings, FACTS)
    new = count if case.kind == "inserts" else count // 2
    facts(spark, rows, new, start, span).coalesce(2).write.format("delta").mode("append").save(path)
    if case.kind == "inserts":
        return
    window = rows * RECENT_S // (DAYS * 24 * 3600) if is_recent else rows
    step = max(2, window // max(1, count // 2))
    recent = f"event_id >= {rows - window} AND event_id < {rows}"
    where = f"{recent} AND event_id % {step} = 0"
    half = f"(event_id DIV {step}) % 2"
    merge = (
        DeltaTable.forPath(spark, path).alias("t")
        .merge(spark.range(1).alias("s"), f"t.{where.replace('event_id', 't.event_id')[2:]}")
        .whenMatchedDelete(f"{half.replace('event_id', 't.event_id')} = 0")
        .whenMatchedUpdate(set={"quantity": "t.quantity + 1", "amount_cents": "t.amount_cents + 7"})
    )  # fmt: skip
    merge.execute()


@contextmanager
def copied(settings: Settings) -> Iterator[Settings]:
    """A lake with the same tables, its files linked, while the block runs.

    Its name is new each time: Delta remembers a table by its path.
    """
    folder = Path(settings.root).parent / f"lake-{uuid.uuid4()}"
    shutil.copytree(settings.root, folder, copy_function=_link)
    try:
        yield settings.model_copy(update={"root": str(folder)})
    finally:
        shutil.rmtree(folder)


def _link(source: str, target: str) -> None:
    if "_delta_log" in source:
        shutil.copy2(source, target)
    else:
        Path(target).hardlink_to(source)


def views_in(folder: Path) -> list[View]:
    """The five views, defined as the lake's own are."""
    found = []
    for name, sql in VIEWS.items():
        header = f"-- A view of the benchmark.\n-- key: {KEYS[name]}\n"
        clustered = CLUSTERED.get(name, KEYS[name].split(", ")[0])
        file = folder / f"{name}.sql"
        file.write_text(f"{header}-- cluster by: {clustered}\n{sql}")
        found.append(load_view(file))
    return found
