"""Which strategy keeps a view, from its SQL and from how much has changed; nothing is read."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyspark.sql.types import LongType, StructType

from pipelines.view import View
from pipelines.views.algebra import Query, UnsupportedError
from pipelines.views.normalise import normalise
from pipelines.views.signed import is_row_by_row, linear_mentions
from pipelines.views.totals import Additive, additive
from pipelines.views.touched import touched_columns

NONE, ROWS, TOTALS, GROUPS, FULL = "none", "rows", "totals", "groups", "full"


@dataclass(frozen=True)
class Shape:
    """What can be done with a view, by its SQL alone.

    Attributes:
        query: its normal form; None if it is only kept by recomputation.
        spec: how to keep it by totals, if it can be.
        reason: why not by a better strategy.
    """

    query: Query | None
    spec: Additive | None
    is_rows: bool
    reason: str


@dataclass(frozen=True)
class Strategy:
    """A strategy and why it was chosen.

    Attributes:
        columns: for `groups`, those of the view that tell what is touched.
    """

    name: str
    reason: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Size:
    """How much there is to read and write, from the logs: bytes of files, rows of the view.

    Attributes:
        removes: whether rows of the sources may have gone.
    """

    source_bytes: int
    changed_bytes: int
    view_rows: int
    removes: bool = False


def shape(view: View, schemas: Mapping[str, StructType]) -> Shape:
    """What can be done with a view.

    Args:
        schemas: of the tables that it reads.
    """
    columns = {name: schema.names for name, schema in schemas.items()}
    try:
        query = normalise(view.sql, str(view.path), columns)
    except UnsupportedError as error:
        return Shape(None, None, False, str(error))
    if is_row_by_row(query):
        return Shape(query, None, True, "")

    def not_null(mention: int, column: str) -> bool:
        return not schemas[query.mentions[mention]][column].nullable

    try:
        return Shape(query, additive(query, not_null), False, "")
    except UnsupportedError as error:
        return Shape(query, None, False, str(error))


def choose(
    view: View, of: Shape, stored: StructType, changed: Sequence[int], size: Size
) -> Strategy:
    """The strategy that is expected to be the quickest of those that fit.

    Args:
        stored: the columns that the view stores, hidden ones included.
        changed: the mentions of tables that have changed rows.
    """
    if of.query is None:
        return Strategy(FULL, of.reason)
    if size.changed_bytes > max(FEW_BYTES, MOST_CHANGED * size.source_bytes):
        return Strategy(FULL, "most of what it reads has changed")
    if of.is_rows and set(changed) <= linear_mentions(of.query):
        return Strategy(ROWS, "each row comes from rows of its own")
    if of.spec is not None and not (problem := _misfit(of.spec, stored, changed)):
        if not _loses_extremes(of.spec, size):
            return Strategy(TOTALS, "sums and counts")
        problem = "a least or greatest value may have gone"
    columns = key_columns(view, of.query, changed)
    if not columns:
        return Strategy(FULL, "no column tells which of its rows a change touches")
    reason = of.reason or (problem if of.spec is not None else "a join shows what is missing")
    return Strategy(GROUPS, reason, columns)


# A change feed of this share of the sources is as much work as the sources themselves.
MOST_CHANGED = 0.3
FEW_BYTES = 1 << 20  # below this all strategies take about as long


def key_columns(view: View, query: Query, changed: Sequence[int]) -> tuple[str, ...]:
    """The columns that tell what is touched, whichever mention changes."""
    common = set(query.columns)
    for mention in changed:
        common &= set(touched_columns(query, mention))
    of_key = tuple(column for column in view.key if column in common)
    return of_key or tuple(column for column in query.columns if column in common)


def at_most(strategy: str, size: Size) -> int:
    """How many rows of the view may be touched before a recomputation is less work."""
    if size.source_bytes < SMALL_BYTES:
        return sys.maxsize
    few = MANY_ROWS if strategy != GROUPS else min(MANY_ROWS, int(MOST_GROUPS * size.view_rows))
    return max(few, int(MOST_TOUCHED * size.view_rows))


# Of 40 million facts (benchmarks/README.md): a million rows are put into a view in about 3 s, and
# groups are recomputed as quickly as the whole view while they are less than this share of it.
MANY_ROWS = 1_000_000
MOST_GROUPS = 0.7
MOST_TOUCHED = 0.3
SMALL_BYTES = 64 << 20  # sources that are read in less than a second


def _loses_extremes(spec: Additive, size: Size) -> bool:
    """Whether totals would find that groups must be recomputed after all: a third more work."""
    return spec.has_extremes and size.removes and size.source_bytes >= SMALL_BYTES


def _misfit(spec: Additive, stored: StructType, changed: Sequence[int]) -> str:
    """Why totals cannot be kept here; empty if they can."""
    if not set(changed) <= spec.linear:
        return "a join shows what is missing"
    for state in spec.states:
        if state.column not in stored.names:
            return f"it does not store {state.column} yet"
        of = stored[state.column].dataType
        if state.kind != "sum":
            continue
        if state.column in spec.whole and not isinstance(of, LongType):
            return "an average of other than whole numbers depends on the order of its rows"
        if of.typeName() in ("double", "float"):
            return (
                f"{state.column} is a {of.typeName()}, whose sum depends on the order of its rows"
            )
        if spec.has_extremes and of.typeName() == "decimal":
            return f"{state.column} is a decimal beside a least or greatest value"
    return ""


def expected_seconds(strategy: str, size: Size) -> float:
    """About what a refresh takes on two cores: at 40 million facts it was within a factor of 2."""
    if strategy == FULL:
        return round(1 + size.source_bytes / 60e6 + size.view_rows / 1e6, 1)
    view = size.view_rows / 6e6
    restricted = size.source_bytes / 200e6 if strategy == GROUPS else 0
    return round(1 + size.changed_bytes / 5e6 + view + restricted, 1)
