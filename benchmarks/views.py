"""`make bench-views`: five views after changes of 0 to 10 %, beside Spark, MERGE and DuckDB.

Each case starts from the same tables and the same views: they are copied by hard links, which
costs nothing, since Delta never writes to a file again. A view is up to date when its commit is
there; DuckDB recomputes it from the Parquet files that the changed table then consists of.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median

import duckdb
import sqlglot
from delta.tables import DeltaTable
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import pipelines.views.refresh as engine
from benchmarks.measure import geometric_mean, lake, seconds
from benchmarks.view_tables import (
    FACTS,
    ITEMS,
    KEYS,
    VIEWS,
    Case,
    change,
    copied,
    make,
    views_in,
)
from pipelines.io.lake import table_path
from pipelines.io.read import read_stored, version_of
from pipelines.settings import Settings
from pipelines.view import View
from pipelines.views.choose import FULL, GROUPS, TOTALS, Strategy, key_columns
from pipelines.views.prepare import Plan
from pipelines.views.refresh import refresh

SHARES = (0.0001, 0.001, 0.01, 0.1)
PLACES = ("recent", "spread")
KINDS = ("inserts", "mixed")
MUST = ("gold.additive", 0.001)  # the view and the share that the figures of the last line are of
ROUNDS = 3  # of those; the others are measured once
NEARLY = 1.1  # within this of the fastest, two ways are equally fast: so far do repeats differ


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

    engine.plan, engine.at_most = planned, lambda name, size: 10**12  # type: ignore[assignment]
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


def in_full(spark: SparkSession, settings: Settings, view: View) -> float:
    """Seconds that the engine takes to recompute a view by Spark."""
    (done,) = refresh(spark, settings, [view.name], views=[view], full=True)
    return done.seconds


def measure(
    spark: SparkSession, changed: Settings, view: View, case: Case, since: int, full_s: float
) -> Measured:
    """One view in one case: the median of each way, each time on a copy of its own.

    Args:
        since: the version of the facts that the view shows.
    """
    picked: list[str] = []
    is_must = (view.name, case.share) == MUST

    def ours(settings: Settings) -> float:
        (done,) = refresh(spark, settings, [view.name], views=[view])
        picked.append(done.strategy)
        if len(picked) == 1:
            print(f"  {view.name}: {done}", flush=True)
        return done.seconds

    def by(strategy: str) -> Callable[[Settings], float]:
        def run(settings: Settings) -> float:
            with forced(strategy):
                (done,) = refresh(spark, settings, [view.name], views=[view])
            return done.seconds

        return run

    def merge(settings: Settings) -> float:
        return seconds(lambda: textbook_merge(spark, settings, view, since))

    fitting = (GROUPS,) if view.name in ("gold.distinct", "gold.top_n") else (GROUPS, TOTALS)
    ways = {"ours": ours, **{way: by(way) for way in fitting}}
    if view.name == MUST[0]:
        ways["merge"] = merge
    if is_must:
        ways["duckdb"] = lambda settings: by_duckdb(spark, settings, view)
        ways[FULL] = lambda settings: in_full(spark, settings, view)
    took: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS if is_must else 1):
        for way in list(ways)[:: -1 if number % 2 else 1]:
            if way in picked:  # that is what was measured as ours
                continue
            with copied(changed) as settings:
                took[way].append(ways[way](settings))
    found = {way: median(values) for way, values in took.items() if values}
    found[picked[0]] = found["ours"]
    return Measured(view.name, case, picked[0], {FULL: full_s, **found})


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
        _warm_up(spark, settings, views, asked.rows)
        found = []
        since = version_of(spark, settings, FACTS)
        cases = [Case(*c) for c in product(asked.shares, PLACES, asked.kinds)]
        for case in cases:
            with copied(settings) as changed:
                took = seconds(lambda s=changed, c=case: change(spark, s, asked.rows, c))
                print(f"{case}: changed in {took:.1f} s", flush=True)
                for view in views:
                    found.append(measure(spark, changed, view, case, since, full[view.name]))
        noop = _noop(spark, settings, views)
        _report(found, full, noop)


def _baselines(spark: SparkSession, settings: Settings, views: list[View]) -> dict[str, float]:
    """Make each view, twice; the seconds of the second time, when all code is warm."""
    full = {}
    for view in views:
        refresh(spark, settings, [view.name], views=[view])
        full[view.name] = in_full(spark, settings, view)
        rows = read_stored(spark, settings, view.name).count()
        print(f"{view.name}: {rows:,} rows, recomputed in {full[view.name]:.1f} s", flush=True)
    return full


def _warm_up(spark: SparkSession, settings: Settings, views: list[View], rows: int) -> None:
    """Let each view go through a change that is not measured."""
    with copied(settings) as changed:
        change(spark, changed, rows, Case(0.0001, "spread", "mixed"))
        for view in views:
            with copied(changed) as tried:
                refresh(spark, tried, [view.name], views=[view])


def _noop(spark: SparkSession, settings: Settings, views: list[View]) -> float:
    return median(
        1000 * seconds(lambda v=view: refresh(spark, settings, [v.name], views=[v]))
        for view in views
        for _ in range(5)
    )


def _report(found: list[Measured], full: dict[str, float], noop: float) -> None:
    ways = ("ours", TOTALS, GROUPS, FULL, "merge", "duckdb")
    print(f"\n{'view':14} {'change':24} {'picked':8}" + "".join(f"{way:>9}" for way in ways))
    for one in found:
        cells = "".join(
            f"{one.seconds[way]:9.2f}" if way in one.seconds else " " * 9 for way in ways
        )
        mark = "" if one.is_right else "  not the fastest"
        print(f"{one.view[5:]:14} {one.case!s:24} {one.picked:8}{cells}{mark}")
    musts = [m.seconds for m in found if (m.view, m.case.share) == MUST]
    right = sum(m.is_right for m in found) / len(found)
    ratios = {
        way: geometric_mean([took[way] / took["ours"] for took in musts]) if musts else 0.0
        for way in (FULL, "duckdb")
    }
    print(
        f"views speedup_vs_full_0_1pct={ratios[FULL]:.1f} "
        f"vs_duckdb_0_1pct={ratios['duckdb']:.2f} "
        f"noop_ms={noop:.0f} strategy_right={right:.2f}"
    )


if __name__ == "__main__":
    main()
