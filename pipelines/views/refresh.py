"""Bring gold views up to date. Every refresh recomputes the view in full.

A view's commit carries, in the same atomic step, the versions of the tables that it was computed
from and the digest of its SQL. A view whose sources and SQL are unchanged is left alone.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from pyspark.sql import DataFrame, SparkSession

from pipelines.errors import QueryError, ViewError
from pipelines.io.query import run_select
from pipelines.io.read import exists, last_metadata, read, version_of
from pipelines.io.write import write_view
from pipelines.registry import views_in_order
from pipelines.settings import Settings
from pipelines.view import View, parse_select


@dataclass(frozen=True)
class Shown:
    """What a view's last commit says it shows."""

    sources: dict[str, int]
    sql_digest: str


@dataclass(frozen=True)
class Refreshed:
    """What a refresh of one view did: `full` or `none`, why, its rows and seconds."""

    view: str
    strategy: str
    reason: str
    rows: int
    seconds: float


def refresh(
    spark: SparkSession,
    settings: Settings,
    names: Iterable[str] = (),
    *,
    full: bool = False,
    progress: Callable[[Refreshed], None] = lambda _: None,
) -> list[Refreshed]:
    """Refresh the named views, or all, in the order of their dependencies.

    Args:
        full: recompute even what is up to date.

    Raises:
        ViewError: the SQL names a column that does not exist.
        LakeError: a view that it reads was never refreshed.
    """
    done = []
    for view in views_in_order(names):
        result = _refresh_one(spark, settings, view, full=full)
        progress(result)
        done.append(result)
    return done


def shown(spark: SparkSession, settings: Settings, view: View) -> Shown | None:
    """The versions that a view shows; None if it was never refreshed."""
    if not exists(spark, settings, view.name):
        return None
    metadata = last_metadata(spark, settings, view.name)
    return Shown(**json.loads(metadata)) if metadata else None


def plan(spark: SparkSession, settings: Settings, view: View, *, full: bool) -> tuple[str, str]:
    """The strategy for the next refresh of a view, and the reason."""
    before = shown(spark, settings, view)
    if before is None:
        return "full", "never refreshed"
    if before.sql_digest != sql_digest(view):
        return "full", "the SQL has changed"
    if full:
        return "full", "asked for"
    now = source_versions(spark, settings, view)
    moved = sorted(name for name, version in now.items() if before.sources.get(name) != version)
    return ("full", f"changed: {', '.join(moved)}") if moved else ("none", "up to date")


def recompute(
    spark: SparkSession, settings: Settings, view: View, sources: dict[str, int]
) -> DataFrame:
    """The view's rows, computed from its sources at the given versions."""
    try:
        return run_select(spark, settings, parse_select(view.sql, str(view.path)), sources)
    except QueryError as error:
        raise ViewError(str(error).replace("query:", f"{view.path}:", 1)) from None


def source_versions(spark: SparkSession, settings: Settings, view: View) -> dict[str, int]:
    """The newest version of every table that a view reads, `NOT_YET` of an unwritten one."""
    return {name: version_of(spark, settings, name) for name in view.inputs}


def sql_digest(view: View) -> str:
    """Changes with the meaning of the SQL, not with its comments or line breaks."""
    canonical = parse_select(view.sql, str(view.path)).sql(dialect="spark", comments=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _refresh_one(spark: SparkSession, settings: Settings, view: View, *, full: bool) -> Refreshed:
    started = time.monotonic()
    strategy, reason = plan(spark, settings, view, full=full)
    if strategy == "full":
        sources = source_versions(spark, settings, view)
        rows = recompute(spark, settings, view, sources)
        now = Shown(sources, sql_digest(view))
        write_view(rows, settings, view, metadata=json.dumps(asdict(now)))
    count = read(spark, settings, view.name).count()
    return Refreshed(view.name, strategy, reason, count, time.monotonic() - started)
