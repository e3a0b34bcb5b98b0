"""`make bench-views`: five views after changes of 0 to 10 %, beside Spark, MERGE and DuckDB.

Each case starts from the same tables and the same views: they are copied by hard links, which
costs nothing, since Delta never writes to a file again. A view is up to date when its commit is
there; DuckDB recomputes it from the Parquet files that the changed table then consists of.
"""

import argparse
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median

import duckdb
import sqlglot
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import pipelines.views.refresh as engine
from benchmarks.measure import geometric_mean, lake, seconds
from pipelines.io.lake import table_path
from pipelines.io.read import read_stored, version_of
from pipelines.io.write import PROPERTIES
from pipelines.settings import Settings
from pipelines.view import View, load_view
from pipelines.views.choose import FULL, GROUPS, TOTALS, Strategy, key_columns
from pipelines.views.prepare import Plan
from pipelines.views.refresh import refresh

FACTS, ITEMS = "bench.facts", "bench.items"
DAYS, START = 90, 1483228800  # 2017-01-01
RECENT_S = 48 * 3600
SHARES = (0.0001, 0.001, 0.01, 0.1)
PLACES = ("recent", "spread")
KINDS = ("inserts", "mixed")
NEARLY = 1.1  # within this of the fastest, two ways are equally fast: so far do repeats differ

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


@dataclass(frozen=True)
class Measured:
    """What one view took in one case: the strategy picked, and the seconds of each way."""

    view: str
    case: Case
    picked: str
    seconds: dict[str, float]

    @property
    def is_right(self) -> bool:
        ours = {k: v for k, v in self.seconds.items() if k in (TOTALS, GROUPS, FULL)}
        return ours[self.picked] <= NEARLY * min(ours.values())


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


@contextmanager
def forced(strategy: str) -> Iterator[None]:
    """Let the engine refresh by one strategy, whatever it would choose."""
    plan, most = engine.plan, engine.at_most

    def planned(*args: object, **kwargs: object) -> Plan:
        found: Plan = plan(*args, **kwargs)  # type: ignore[arg-type]
        if found.work is None:
            return found
        query = found.work.query
        changed = [n for n, name in enumerate(query.mentions) if name in found.changes]
        columns = key_columns(found.view, query, changed)
        return replace(found, strategy=Strategy(strategy, "forced", columns))

    engine.plan, engine.at_most = planned, lambda size: 10**12  # type: ignore[assignment]
    try:
        yield
    finally:
        engine.plan, engine.at_most = plan, most


def textbook_merge(spark: SparkSession, settings: Settings, view: View, since: int) -> None:
    """MERGE of the aggregated change feed into the view, as the guides have it."""
    feed = (
        spark.read.format("delta").option("readChangeFeed", "true")
        .option("startingVersion", since + 1).load(table_path(settings, FACTS))
    )  # fmt: skip
    sign = F.when(F.col("_change_type").isin("insert", "update_postimage"), 1).otherwise(-1)
    added = feed.groupBy(
        "category_id", "store_id", F.date_trunc("HOUR", "occurred_at").alias("hour_at")
    ).agg(
        F.sum(F.col("quantity") * sign).alias("units"),
        F.sum(F.col("amount_cents") * sign).alias("revenue_cents"),
        F.sum(sign).alias("purchase_count"),
    )
    totals = ("units", "revenue_cents", "purchase_count")
    same = " AND ".join(f"t.{key} = s.{key}" for key in KEYS["additive"].split(", "))
    (
        DeltaTable.forPath(spark, table_path(settings, view.name)).alias("t")
        .merge(added.alias("s"), same)
        .whenMatchedDelete("t.purchase_count + s.purchase_count = 0")
        .whenMatchedUpdate(set={name: f"t.{name} + s.{name}" for name in totals})
        .whenNotMatchedInsertAll()
        .execute()
    )  # fmt: skip


def by_duckdb(spark: SparkSession, settings: Settings, view: View) -> float:
    """Seconds that DuckDB takes to recompute a view into a Parquet file."""
    connection = duckdb.connect()
    connection.sql("SET TimeZone = 'UTC'")
    for name in (FACTS, ITEMS):
        files = spark.read.format("delta").load(table_path(settings, name)).inputFiles()
        paths = [file.removeprefix("file://") for file in files]
        connection.read_parquet(paths).create_view(name.split(".")[1])
    text = view.sql.replace("bench.", "")
    (sql,) = sqlglot.transpile(text, read="spark", write="duckdb", comments=False)
    with tempfile.TemporaryDirectory() as folder:
        target = f"{folder}/view.parquet"
        return seconds(lambda: connection.sql(sql).write_parquet(target, compression="zstd"))


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


def measure(
    spark: SparkSession, changed: Settings, view: View, case: Case, since: int, full_s: float
) -> Measured:
    """One view in one case: each way on a copy of its own.

    Args:
        since: the version of the facts that the view shows.
    """
    took: dict[str, float] = {}
    with copied(changed) as settings:
        (done,) = refresh(spark, settings, [view.name], views=[view])
        took["ours"] = took[done.strategy] = done.seconds
        print(f"  {view.name}: {done}", flush=True)
    took[FULL] = full_s
    additive = view.name == "gold.additive"
    others = {TOTALS, GROUPS} if view.name not in ("gold.distinct", "gold.top_n") else {GROUPS}
    for way in others - {done.strategy}:
        with copied(changed) as settings, forced(way):
            (other,) = refresh(spark, settings, [view.name], views=[view])
            took[way] = other.seconds
    if additive:
        with copied(changed) as settings:
            took["merge"] = seconds(lambda: textbook_merge(spark, settings, view, since))
    return Measured(view.name, case, done.strategy, took)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=40_000_000)
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES)
    parser.add_argument("--views", nargs="*", default=list(VIEWS))
    parser.add_argument("--kinds", nargs="*", default=KINDS)
    asked = parser.parse_args()
    with lake(**{"spark.driver_memory": "6g"}) as (spark, settings):
        folder = Path(settings.root).parent
        views = [v for v in views_in(folder) if v.name.split(".")[1] in asked.views]
        took = seconds(lambda: make(spark, settings, asked.rows))
        print(f"{asked.rows:,} facts made in {took:.0f} s", flush=True)
        full = _baselines(spark, settings, views)
        found, peers = [], {}
        since = version_of(spark, settings, FACTS)
        cases = [Case(*c) for c in product(asked.shares, PLACES, asked.kinds)]
        for case in cases:
            with copied(settings) as changed:
                took = seconds(lambda s=changed, c=case: change(spark, s, asked.rows, c))
                print(f"{case}: changed in {took:.1f} s", flush=True)
                for view in views:
                    if (case.share, case.kind) == (0.001, asked.kinds[0]):
                        peers[view.name, case.place] = by_duckdb(spark, changed, view)
                    found.append(measure(spark, changed, view, case, since, full[view.name]))
        noop = _noop(spark, settings, views)
        _report(found, full, peers, noop)


def _baselines(spark: SparkSession, settings: Settings, views: list[View]) -> dict[str, float]:
    """Make each view, twice, and lay it out as `maintain` does; the seconds of the second time."""
    full = {}
    for view in views:
        refresh(spark, settings, [view.name], views=[view])
        (done,) = refresh(spark, settings, [view.name], views=[view], full=True)
        full[view.name] = done.seconds
        rows = read_stored(spark, settings, view.name).count()
        print(f"{view.name}: {rows:,} rows, recomputed in {done.seconds:.1f} s", flush=True)
    return full


def _noop(spark: SparkSession, settings: Settings, views: list[View]) -> float:
    return median(
        1000 * seconds(lambda v=view: refresh(spark, settings, [v.name], views=[v]))
        for view in views
        for _ in range(5)
    )


def _report(
    found: list[Measured], full: dict[str, float], peers: dict[tuple[str, str], float], noop: float
) -> None:
    ways = ("ours", TOTALS, GROUPS, "merge")
    print(f"\n{'view':14} {'change':24} {'picked':8}" + "".join(f"{way:>9}" for way in ways))
    for one in found:
        cells = "".join(
            f"{one.seconds[way]:9.2f}" if way in one.seconds else " " * 9 for way in ways
        )
        mark = "" if one.is_right else "  not the fastest"
        print(f"{one.view[5:]:14} {one.case!s:24} {one.picked:8}{cells}{mark}")
    for view, took in full.items():
        others = [f"{s:.2f}" for (name, _), s in peers.items() if name == view]
        print(f"{view[5:]:14} Spark in full {took:.2f} s   DuckDB {' '.join(others)} s")
    ours = [m.seconds["ours"] for m in found if m.view == "gold.additive" and m.case.share == 0.001]
    duck = [s for (view, _), s in peers.items() if view == "gold.additive"]
    right = sum(m.is_right for m in found) / len(found)
    took = geometric_mean(ours) if ours else float("nan")
    print(
        f"views speedup_vs_full_0_1pct={full.get('gold.additive', 0) / took:.1f} "
        f"vs_duckdb_0_1pct={geometric_mean(duck) / took if duck else 0:.2f} "
        f"noop_ms={noop:.0f} strategy_right={right:.2f}"
    )


if __name__ == "__main__":
    main()
