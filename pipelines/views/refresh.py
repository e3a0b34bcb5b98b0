"""Bring gold views up to date, each by the cheapest strategy that gives a recomputation's rows.

A view's commit carries, in the same atomic step, the versions of the tables that it shows and the
digest of its SQL. A refresh takes the changes after these versions, up to versions fixed before it
reads anything; wherever it dies, the next one starts from what the view says it shows.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from pipelines.io.changes import FeedError, identity
from pipelines.io.conflicts import CONFLICTS, retrying
from pipelines.io.failures import SPARK_ERRORS, is_file_gone, said
from pipelines.io.files import bytes_of
from pipelines.io.patch import MovedError, patch, with_positions
from pipelines.io.read import NOT_YET, read_stored, version_of
from pipelines.io.write import write_view
from pipelines.registry import VIEWS, views_in_order
from pipelines.settings import Settings
from pipelines.view import View
from pipelines.views.choose import FULL, ROWS, TOTALS, Strategy, at_most
from pipelines.views.prepare import UP_TO_DATE, Plan, plan
from pipelines.views.recompute import recompute_stored, sql_digest
from pipelines.views.record import Shown, log_refreshes, shown
from pipelines.views.sources import Feeds, Sources
from pipelines.views.strategies import Patch, UnfitError, by_groups, by_rows, by_totals

FEED_GONE = "files of a source's change feed are gone, as after a VACUUM"
_FILE_BYTES, _MOST_FILES = 32 << 20, 64  # of a view: about one for so much of its sources


@dataclass(frozen=True)
class Refreshed:
    """What a refresh of one view did, why, the view's rows, and the seconds it took."""

    view: str
    strategy: str
    reason: str
    rows: int
    seconds: float
    changed_rows: int = 0
    changed_bytes: int = 0
    touched_keys: int = 0
    removed_rows: int = 0
    added_rows: int = 0


def refresh(
    spark: SparkSession,
    settings: Settings,
    names: Iterable[str] = (),
    *,
    views: Iterable[View] = VIEWS,
    full: bool = False,
    progress: Callable[[Refreshed], None] = lambda _: None,
) -> list[Refreshed]:
    """Refresh the named views, or all, in the order of their dependencies.

    Args:
        views: those that there are.
        full: recompute even what is up to date.

    Raises:
        ViewError: the SQL names a column that does not exist.
        LakeError: a view that it reads was never refreshed.
        ConflictError: another process refreshed the view meanwhile.
    """
    ordered = views_in_order(names, views)
    feeds = Feeds(spark, settings, Counter(source for view in ordered for source in view.inputs))
    done: list[Refreshed] = []
    try:
        for view in ordered:
            done.append(_refresh_one(spark, settings, view, feeds, full=full))
            progress(done[-1])
    finally:
        feeds.close()
        committed = {result.view for result in done if result.reason != UP_TO_DATE}
        log_refreshes(spark, settings, [view for view in ordered if view.name in committed])
    return done


def _refresh_one(
    spark: SparkSession, settings: Settings, view: View, feeds: Feeds, *, full: bool
) -> Refreshed:
    """Refresh one view; again from the start if another commit comes in between."""
    done: list[Refreshed] = []

    def attempt() -> None:
        done.append(_attempt(spark, settings, view, feeds, full=full))

    again = (*CONFLICTS, MovedError)
    retrying(attempt, settings.maintain.attempts, view.name, after=again)
    return done[-1]


def _attempt(
    spark: SparkSession, settings: Settings, view: View, feeds: Feeds, *, full: bool
) -> Refreshed:
    started = time.monotonic()
    version = version_of(spark, settings, view.name)
    todo = plan(spark, settings, view, full=full)
    if todo.strategy.reason == UP_TO_DATE:
        rows = todo.before.rows if todo.before else 0
        seconds = time.monotonic() - started
        return Refreshed(view.name, todo.strategy.name, UP_TO_DATE, rows or 0, seconds)
    if todo.strategy.name != FULL:
        try:
            return _patched(spark, settings, todo, feeds, version, started)
        except CONFLICTS:
            raise
        except (UnfitError, FeedError) as error:
            todo = replace(todo, strategy=Strategy(FULL, str(error)))
        except SPARK_ERRORS as error:
            reason = FEED_GONE if is_file_gone(error) else f"{todo.strategy.name}: {said(error)}"
            todo = replace(todo, strategy=Strategy(FULL, reason))
    return _recomputed(spark, settings, todo, started)


def _patched(
    spark: SparkSession, settings: Settings, todo: Plan, feeds: Feeds, version: int, started: float
) -> Refreshed:
    changed = _patch_of(spark, settings, todo, feeds, version)
    before = todo.before.rows if todo.before else 0
    records: list[Shown] = []

    def record(removed: int, added: int) -> str:
        now = (before or 0) - removed + added
        found = _record(spark, settings, todo, started)
        touched = changed.touched
        found = replace(found, rows=now, removed_rows=removed, added_rows=added)
        records.append(replace(found, touched_keys=touched))
        return records[-1].to_json()

    try:
        patch(
            spark, settings, todo.view.name, version=version,
            removed=changed.removed, added=changed.added, record=record,
        )  # fmt: skip
    finally:
        for frame in changed.kept:
            frame.unpersist()
    return _result(todo, records[-1], started)


def _patch_of(
    spark: SparkSession, settings: Settings, todo: Plan, feeds: Feeds, version: int
) -> Patch:
    work = todo.work
    if work is None:
        return Patch(None, None, 0)
    sources = Sources(spark, settings, work.before.sources, todo.now, todo.changes, feeds)
    view = with_positions(read_stored(spark, settings, todo.view.name, version=version))
    most = at_most(todo.strategy.name, work.size)
    if todo.strategy.name == ROWS:
        return by_rows(sources, work.query, view, most)
    if todo.strategy.name == TOTALS and work.spec is not None:
        return by_totals(sources, work.query, view, work.spec, most)
    columns = todo.strategy.columns
    return by_groups(sources, work.query, view, work.spec, columns, most)


def _recomputed(spark: SparkSession, settings: Settings, todo: Plan, started: float) -> Refreshed:
    rows = recompute_stored(spark, settings, todo.view, todo.now)
    record = _record(spark, settings, todo, started)
    read = [name for name, version in todo.now.items() if version > NOT_YET]
    size = sum(bytes_of(spark, settings, name) for name in read)
    files = min(_MOST_FILES, size // _FILE_BYTES)
    write_view(rows, settings, todo.view, files=files, metadata=record.to_json())
    return _result(todo, shown(spark, settings, todo.view) or record, started)


def _record(spark: SparkSession, settings: Settings, todo: Plan, started: float) -> Shown:
    """What the commit is to say; a recomputation's rows are told by its metrics alone."""
    return Shown(
        sources=todo.now,
        sql_digest=sql_digest(todo.view),
        tables={name: identity(spark, settings, name) for name in todo.now},
        rows=None,
        strategy=todo.strategy.name,
        reason=todo.strategy.reason,
        from_sources=todo.before.sources if todo.before else {},
        changed_rows=sum(changed.rows for changed in todo.changes.values()),
        changed_bytes=sum(changed.bytes for changed in todo.changes.values()),
        touched_keys=0,
        removed_rows=0,
        added_rows=0,
        seconds=round(time.monotonic() - started, 3),
        at=time.time(),
    )


def _result(todo: Plan, record: Shown, started: float) -> Refreshed:
    return Refreshed(
        view=todo.view.name,
        strategy=record.strategy,
        reason=record.reason,
        rows=record.rows or 0,
        seconds=time.monotonic() - started,
        changed_rows=record.changed_rows,
        changed_bytes=record.changed_bytes,
        touched_keys=record.touched_keys,
        removed_rows=record.removed_rows,
        added_rows=record.added_rows,
    )
