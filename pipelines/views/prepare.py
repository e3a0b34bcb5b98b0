"""What the next refresh of a view is to do, by the logs of the view and of its sources alone."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from pipelines.io.changes import Change, FeedError, change, identity
from pipelines.io.files import bytes_of
from pipelines.io.read import HIDDEN, NOT_YET, read, read_stored, version_of
from pipelines.settings import Settings
from pipelines.view import View
from pipelines.views.algebra import Query
from pipelines.views.choose import FULL, NONE, Size, Strategy, choose, shape
from pipelines.views.recompute import sql_digest
from pipelines.views.record import Shown, shown
from pipelines.views.totals import Additive

UP_TO_DATE = "up to date"


@dataclass(frozen=True)
class Work:
    """What an incremental refresh goes by."""

    before: Shown
    query: Query
    spec: Additive | None
    size: Size


@dataclass(frozen=True)
class Plan:
    """What the next refresh of a view is to do.

    Attributes:
        before: what the view shows; None if that is not known.
        now: table -> the version that it is to show.
        changes: the tables that have changed rows since what it shows.
        work: None if the view is recomputed, or no row of it changes.
    """

    view: View
    strategy: Strategy
    before: Shown | None
    now: dict[str, int]
    changes: dict[str, Change]
    work: Work | None = None


def plan(spark: SparkSession, settings: Settings, view: View, *, full: bool = False) -> Plan:
    """The strategy for the next refresh of a view, and the reason; no row is read."""
    now = {name: version_of(spark, settings, name) for name in view.inputs}
    before = shown(spark, settings, view)
    if before is None:
        is_new = version_of(spark, settings, view.name) == NOT_YET
        reason = "never refreshed" if is_new else "its newest commit does not say what it shows"
        return Plan(view, Strategy(FULL, reason), None, now, {})
    if before.sql_digest != sql_digest(view):
        return Plan(view, Strategy(FULL, "the SQL has changed"), before, now, {})
    if full:
        return Plan(view, Strategy(FULL, "asked for"), before, now, {})
    if now == before.sources:
        return Plan(view, Strategy(NONE, UP_TO_DATE), before, now, {})
    try:
        changes = _changes(spark, settings, before, now)
    except FeedError as error:
        return Plan(view, Strategy(FULL, str(error)), before, now, {})
    if not changes:
        return Plan(view, Strategy(NONE, "no row has changed"), before, now, {})
    return _incremental(spark, settings, view, before, now, changes)


def _changes(
    spark: SparkSession, settings: Settings, before: Shown, now: Mapping[str, int]
) -> dict[str, Change]:
    """The sources that have changed rows since what a view shows.

    Raises:
        FeedError: one of them is another table by now, went back, or lost its log.
    """
    found = {}
    for name, last in now.items():
        first = before.sources[name]
        known = before.tables.get(name, "")
        if known and identity(spark, settings, name) != known:
            raise FeedError(f"{name} is another table than the one it shows")
        if first != last:
            happened = change(spark, settings, name, first, last)
            if not happened.is_empty:
                found[name] = happened
    return found


def _incremental(
    spark: SparkSession,
    settings: Settings,
    view: View,
    before: Shown,
    now: dict[str, int],
    changes: dict[str, Change],
) -> Plan:
    recomputed = Plan(view, Strategy(FULL, "its columns have changed"), before, now, changes)
    of = shape(view, {name: read(spark, settings, name).schema for name in view.inputs})
    if of.query is None:
        return replace(recomputed, strategy=Strategy(FULL, of.reason))
    stored = read_stored(spark, settings, view.name).schema
    if of.query.columns != tuple(n for n in stored.names if not n.startswith(HIDDEN)):
        return recomputed
    written = [name for name, version in now.items() if version > NOT_YET]
    size = Size(
        source_bytes=sum(bytes_of(spark, settings, name) for name in written),
        changed_bytes=sum(changed.bytes for changed in changes.values()),
        view_rows=before.rows or 0,
        removes=any(changed.removes for changed in changes.values()),
    )
    changed = [n for n, name in enumerate(of.query.mentions) if name in changes]
    strategy = choose(view, of, stored, changed, size)
    return replace(recomputed, strategy=strategy, work=Work(before, of.query, of.spec, size))
