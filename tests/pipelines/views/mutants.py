"""The engine with one piece broken: what the proof must catch, or it proves nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from pyspark.sql import functions as F

import pipelines.io.changes as changes
import pipelines.views.ranges as ranges
import pipelines.views.refresh as engine
import pipelines.views.signed as signed
import pipelines.views.sources as sources
import pipelines.views.strategies as strategies
import pipelines.views.sums as sums
import pipelines.views.totals as totals
import pipelines.views.touched as touched
from pipelines.views.keys import Keys
from pipelines.views.strategies import Patch

SUMS = "SELECT store, SUM(quantity) AS units, SUM(price) AS revenue FROM t.sales GROUP BY store"
COUNTS = "SELECT item, COUNT(*) AS n, SUM(price) AS revenue FROM t.sales GROUP BY item"
MOST = "SELECT store, MAX(price) AS most FROM t.sales GROUP BY store"
KINDS = "SELECT store, COUNT(DISTINCT item) AS kinds FROM t.sales GROUP BY store"
HOURS = (
    "SELECT DATE_TRUNC('HOUR', at) AS hour_at, COUNT(DISTINCT quantity) AS n FROM t.sales "
    "GROUP BY hour_at"
)
NEWEST = (
    "SELECT store, MAX_BY(quantity, STRUCT(at, id)) AS newest, SUM(price) AS revenue FROM t.sales "
    "GROUP BY store"
)
JOINED = (
    "SELECT i.category AS category, SUM(s.quantity) AS units FROM t.sales s "
    "JOIN t.items i ON s.item = i.item GROUP BY i.category"
)
# Keys of both sides: only so must each be looked up in the other.
JOINED_KINDS = (
    "SELECT i.category AS category, s.store AS store, COUNT(DISTINCT s.quantity) AS kinds "
    "FROM t.sales s JOIN t.items i ON s.item = i.item GROUP BY i.category, s.store"
)
LEFT = (
    "SELECT s.item AS item, COUNT(i.weight) AS n FROM t.sales s "
    "LEFT JOIN t.items i ON s.item = i.item GROUP BY s.item"
)
ROWS = "SELECT item, store, quantity FROM t.sales WHERE quantity > 0"


@dataclass(frozen=True)
class Mutant:
    """A broken piece, and a view on which that shows.

    Attributes:
        breaks: replaces the piece.
    """

    name: str
    view: str
    breaks: Callable[[pytest.MonkeyPatch], None]


def _pre_images(patch: pytest.MonkeyPatch) -> None:
    _feed_without(patch, "update_preimage")


def _deletes(patch: pytest.MonkeyPatch) -> None:
    _feed_without(patch, "delete")


def _feed_without(patch: pytest.MonkeyPatch, kind: str) -> None:
    is_kind = F.col("_change_type") == kind
    original = changes._weight
    patch.setattr(changes, "_weight", lambda: F.when(is_kind, F.lit(0)).otherwise(original()))


def _terms(patch: pytest.MonkeyPatch) -> None:
    original = sources.Sources.changed
    patch.setattr(sources.Sources, "changed", lambda self, query: original(self, query)[:1])


def _all_new(patch: pytest.MonkeyPatch) -> None:
    def state(mention: int, changed: int) -> str:
        return touched.CHANGE if mention == changed else touched.NEW

    patch.setattr(strategies, "state_of", state)


def _rows_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(strategies, "is_alive", lambda spec: F.lit(True))


def _nulls_counted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(strategies, "nulled", lambda totals, spec: totals)


def _range_short(patch: pytest.MonkeyPatch) -> None:
    original = sources.feed
    patch.setattr(
        sources,
        "feed",
        lambda spark, of, name, first, last: original(spark, of, name, first + 1, last),
    )


def _range_long(patch: pytest.MonkeyPatch) -> None:
    original = sources.feed
    patch.setattr(
        sources,
        "feed",
        lambda spark, of, name, first, last: original(spark, of, name, first - 1, last),
    )


def _record_old(patch: pytest.MonkeyPatch) -> None:
    original = engine._record

    def record(*args: object) -> object:
        found = original(*args)  # type: ignore[arg-type]
        return replace(found, sources={**found.sources, **found.from_sources})

    patch.setattr(engine, "_record", record)


def _nothing_removed(patch: pytest.MonkeyPatch) -> None:
    def by_groups(*args: object) -> Patch:
        return replace(strategies.by_groups(*args), removed=None)  # type: ignore[arg-type]

    patch.setattr(engine, "by_groups", by_groups)


def _null_keys(patch: pytest.MonkeyPatch) -> None:
    original = strategies.find_keys

    def keys(*args: object) -> Keys:
        return replace(original(*args), has_null=frozenset())  # type: ignore[arg-type]

    patch.setattr(strategies, "find_keys", keys)


def _window_cut(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        ranges, "_window", lambda c, low, high, length: [f"{c} >= {low}", f"{c} <= {high}"]
    )


def _left_as_inner(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(signed, "_is_linear", lambda node, mention: True)


def _range_ends_early(patch: pytest.MonkeyPatch) -> None:
    original = sources.feed
    patch.setattr(
        sources,
        "feed",
        lambda spark, of, name, first, last: original(spark, of, name, first, last - 1),
    )


def _one_of_each(patch: pytest.MonkeyPatch) -> None:
    """Repeated rows are put in once."""
    original = strategies.by_rows

    def by_rows(*args: object) -> Patch:
        found = original(*args)  # type: ignore[arg-type]
        return replace(found, added=found.added and found.added.distinct())

    patch.setattr(engine, "by_rows", by_rows)


def _extremes_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sums, "_is_lost", lambda state, is_order: F.lit(False))


def _order_ignored(patch: pytest.MonkeyPatch) -> None:
    original = sums._is_lost
    patch.setattr(sums, "_is_lost", lambda state, is_order: original(state, False))


def _doubles_summed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(totals, "is_never_null", lambda *args: True)


MUTANTS = (
    Mutant("pre-images are ignored", SUMS, _pre_images),
    Mutant("deletes are ignored", SUMS, _deletes),
    Mutant("one term of a join is missing", JOINED, _terms),
    Mutant("both sides of a join are new", JOINED, _all_new),
    Mutant("both sides are new when keys are looked up", JOINED_KINDS, _all_new),
    Mutant("empty groups stay", COUNTS, _rows_counted),
    Mutant("sums of nothing are zero", COUNTS, _nulls_counted),
    Mutant("the first version of a feed is left out", SUMS, _range_short),
    Mutant("the last version shown is taken again", SUMS, _range_long),
    Mutant("the commit names the old versions", SUMS, _record_old),
    Mutant("touched rows are put in and not taken out", KINDS, _nothing_removed),
    Mutant("null keys equal nothing", KINDS, _null_keys),
    Mutant("windows end where they start", HOURS, _window_cut),
    Mutant("a left join is taken for an inner one", LEFT, _left_as_inner),
    Mutant("the last version of a feed is left out", SUMS, _range_ends_early),
    Mutant("repeated rows are put in once", ROWS, _one_of_each),
    Mutant("values are never null", COUNTS, _doubles_summed),
    Mutant("the greatest value stays when it goes", MOST, _extremes_stay),
    Mutant("a value stays whose row was changed", NEWEST, _order_ignored),
)
