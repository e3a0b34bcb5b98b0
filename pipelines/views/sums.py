"""The arithmetic of running totals: what a change adds to them, and what they come to."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.views.signed import WEIGHT
from pipelines.views.totals import Additive, State

IS_LOST = "__is_lost"  # a stored least or greatest value went, and the next is not known
_LOST = "__lost_"


def argument_of(state: State) -> str:
    """The column of signed rows that holds what a total is made of."""
    return f"__of_{state.column}"


def net(signed: DataFrame, names: Sequence[str], spec: Additive) -> DataFrame:
    """What a change adds to the totals of each group that it touches."""
    if spec.has_extremes:
        # A row that came in one term and went in another was never there: it is no extreme.
        arguments = [argument_of(state) for state in spec.states if state.argument]
        total = F.sum(WEIGHT).alias(WEIGHT)
        signed = signed.groupBy(*names, *arguments).agg(total).where(F.col(WEIGHT) != 0)
    added = [column for state in spec.states for column in _added(state, spec)]
    sums = [F.col(s.column) != 0 for s in spec.states if not s.is_extreme]
    came = [F.col(s.column).isNotNull() for s in spec.states if s.is_extreme]
    went = [F.col(_LOST + s.column).isNotNull() for s in spec.states if s.kind in ("min", "max")]
    moved = reduce(Column.__or__, [*sums, *came, *went])
    return signed.groupBy(*names).agg(*added).where(moved)


def new_totals(joined: DataFrame, names: Sequence[str], spec: Additive) -> DataFrame:
    """The totals of each touched group, from what it held (`v`) and what is added (`k`)."""
    totals = [_total(state).alias(state.column) for state in spec.states]
    orders = {state.ordered_by for state in spec.states if state.ordered_by}
    lost = [_is_lost(s, s.column in orders) for s in spec.states if s.kind in ("min", "max")]
    is_lost = [reduce(Column.__or__, lost).alias(IS_LOST)] if lost else []
    return joined.select(*names, *totals, *is_lost)


def nulled(totals: DataFrame, spec: Additive) -> DataFrame:
    """Sums of no values are null, as in SQL."""
    sums = {
        s.column: F.when(F.col(s.counted_by) > 0, F.col(s.column))
        for s in spec.states
        if s.kind == "sum"
    }
    return totals.withColumns(sums) if sums else totals


def is_alive(spec: Additive) -> Column:
    """Whether a group still has rows."""
    return F.col(next(state.column for state in spec.states if state.kind == "rows")) > 0


def _added(state: State, spec: Additive) -> list[Column]:
    weight, value = F.col(WEIGHT), F.col(argument_of(state))
    if state.kind == "rows":
        return [F.sum(weight).alias(state.column)]
    if state.kind == "count":
        counted = F.when(value.isNotNull(), weight).otherwise(F.lit(0))
        return [F.sum(counted).alias(state.column)]
    if state.kind == "sum":
        # Weights are 1 and -1 but where equal rows were netted.
        times = value * F.abs(weight) if spec.has_extremes else value
        came = F.coalesce(F.sum(F.when(weight > 0, times)), F.lit(0))
        went = F.coalesce(F.sum(F.when(weight < 0, times)), F.lit(0))
        return [(came - went).alias(state.column)]
    if state.ordered_by:
        order = F.col(f"__of_{state.ordered_by}")
        pick = F.min_by if state.kind == "min_by" else F.max_by
        return [pick(value, F.when(weight > 0, order)).alias(state.column)]
    end = F.min if state.kind == "min" else F.max
    return [
        end(F.when(weight > 0, value)).alias(state.column),
        end(F.when(weight < 0, value)).alias(_LOST + state.column),
    ]


def _total(state: State) -> Column:
    held, added = F.col(f"v.{state.column}"), F.col(f"k.{state.column}")
    if state.ordered_by:
        before, now = F.col(f"v.{state.ordered_by}"), F.col(f"k.{state.ordered_by}")
        is_further = now < before if state.kind == "min_by" else now > before
        return F.when(now.isNotNull() & (before.isNull() | is_further), added).otherwise(held)
    if state.is_extreme:
        return F.least(held, added) if state.kind == "min" else F.greatest(held, added)
    return F.coalesce(held, F.lit(0)) + added


def _is_lost(state: State, is_order: bool) -> Column:
    """Whether the value that is stored went, and none came that is as far out.

    Args:
        is_order: a value goes with it, which an equal one would not bring back.
    """
    held, added = F.col(f"v.{state.column}"), F.col(f"k.{state.column}")
    went = F.col(f"k.{_LOST}{state.column}")
    if state.kind == "min":
        reached, replaced = went <= held, (added < went if is_order else added <= went)
    else:
        reached, replaced = went >= held, (added > went if is_order else added >= went)
    return F.coalesce(reached, F.lit(False)) & ~F.coalesce(replaced, F.lit(False))
