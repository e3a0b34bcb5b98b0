"""What a refresh takes out of a view and puts in: one function per strategy, none of them writes.

Each turns the change feeds of the sources into the rows of the view that no longer hold and those
that hold now, so that the view's rows, less `removed` and with `added`, are those of a
recomputation.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial, reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from sqlglot import exp

from pipelines.io.patch import FILE, ROW
from pipelines.views.algebra import Query
from pipelines.views.ranges import conditions
from pipelines.views.signed import WEIGHT, Additive, State, changed_rows, signed_rows, with_totals
from pipelines.views.sources import Sources
from pipelines.views.touched import NEW, state_of, touched

_BROADCAST_ROWS = 1_000_000
_ROWS_PER_FILE = 2_000_000
_BOUNDED = (T.IntegralType, T.DateType, T.TimestampType, T.StringType, T.DecimalType)


class UnfitError(Exception):
    """The strategy found that it does not fit; the text says why."""


@dataclass
class Patch:
    """How a view changes.

    Attributes:
        removed: positions of rows that no longer hold.
        added: rows that hold now, with all stored columns.
        touched: how many keys the change touches.
        kept: frames to give back when the patch is written.
    """

    removed: DataFrame | None
    added: DataFrame | None
    touched: int
    kept: list[DataFrame] = field(default_factory=list)


@dataclass(frozen=True)
class Keys:
    """The touched keys, and what is known of them."""

    rows: DataFrame
    count: int
    has_null: frozenset[str]
    bounds: dict[str, tuple[str, str]]


def by_groups(
    sources: Sources,
    query: Query,
    view: DataFrame,
    spec: Additive | None,
    columns: Sequence[str],
    at_most: int,
) -> Patch:
    """Recompute what the touched keys select, by the view's own SQL, and put it in their place.

    Args:
        view: its stored rows with their positions.
        spec: the totals that it stores, if any.
        columns: those of the view that tell what is touched.

    Raises:
        UnfitError: more than `at_most` keys are touched.
    """
    terms = [
        sources.run(touched(query, m, tuple(columns)), query, partial(state_of, changed=m))
        for m in sources.changed(query)
    ]
    keys = _keys(_as(_union(terms).distinct(), view, columns, strict=True), columns)
    if keys.count > at_most:
        keys.rows.unpersist()
        raise UnfitError(f"{keys.count:,} keys are touched, a recomputation is less work")
    if not keys.count:
        return Patch(None, None, 0, [keys.rows])
    restricted = conditions(query, keys.bounds)
    fresh = sources.run(with_totals(query, spec), query, lambda _: NEW, restricted)
    stored = [name for name in view.columns if name not in (FILE, ROW)]
    added = _as(_only(fresh, keys, columns), view, stored, strict=True)
    removed = _only(_within(view, keys), keys, columns).select(FILE, ROW)
    return Patch(removed, _in_files(added, keys.count), keys.count, [keys.rows])


def by_totals(
    sources: Sources, query: Query, view: DataFrame, spec: Additive, at_most: int
) -> Patch:
    """Add to each touched group's totals what came, and take off what went.

    Args:
        view: its stored rows with their positions.

    Raises:
        UnfitError: more than `at_most` groups are touched.
    """
    names = [name for name, _ in spec.keys]
    arguments = {s.column: f"a{n}" for n, s in enumerate(spec.states) if s.argument is not None}
    wanted: list[tuple[str, exp.Expr]] = list(spec.keys)
    wanted += [(arguments[s.column], s.argument) for s in spec.states if s.argument is not None]
    terms = [
        sources.run(changed_rows(query, m, wanted), query, partial(state_of, changed=m))
        for m in sources.changed(query)
    ]
    net = (
        _union(terms).groupBy(*names).agg(*(_net(s, arguments.get(s.column)) for s in spec.states))
    )
    moved = reduce(Column.__or__, (F.col(s.column) != 0 for s in spec.states))
    keys = _keys(_as(net.where(moved), view, net.columns, strict=False), names)
    if keys.count > at_most:
        keys.rows.unpersist()
        raise UnfitError(f"{keys.count:,} groups are touched, a recomputation is less work")
    if not keys.count:
        return Patch(None, None, 0, [keys.rows])
    held = _only(_within(view, keys), keys, names, how="inner").persist()
    totals = _joined(keys, held, names).select(
        *names, *(_total(state).alias(state.column) for state in spec.states)
    )
    alive = totals.where(_is_alive(spec))
    outputs = [F.expr(text).alias(name) for name, text in spec.outputs]
    hidden = [F.col(name) for name, _ in spec.hidden]
    values = _nulled(alive, spec).select(*names, *outputs, *hidden)
    stored = [name for name in view.columns if name not in (FILE, ROW)]
    added = _as(values, view, stored, strict=False)
    removed = held.select(FILE, ROW)
    return Patch(removed, _in_files(added, keys.count), keys.count, [keys.rows, held])


def by_rows(sources: Sources, query: Query, view: DataFrame, at_most: int) -> Patch:
    """Add the rows that came; take out as many of each kind as went.

    Raises:
        UnfitError: more than `at_most` rows came and went.
    """
    names = [name for name in view.columns if name not in (FILE, ROW)]
    terms = [
        sources.run(signed_rows(query, m), query, partial(state_of, changed=m))
        for m in sources.changed(query)
    ]
    signed = _as(_union(terms), view, [*names, WEIGHT], strict=True).persist()
    totals = signed.agg(F.count("*").alias("rows"), F.min(WEIGHT).alias("least")).collect()[0]
    if totals["rows"] > at_most:
        signed.unpersist()
        raise UnfitError(f"{totals['rows']:,} rows changed, a recomputation is less work")
    if not totals["rows"] or totals["least"] > 0:
        added = signed.select(*names) if totals["rows"] else None
        return Patch(None, _in_files(added, totals["rows"]), totals["rows"], [signed])
    net = signed.groupBy(*names).agg(F.sum(WEIGHT).alias(WEIGHT)).where(F.col(WEIGHT) != 0)
    came = net.where(F.col(WEIGHT) > 0)
    repeated = came.withColumn("n", F.explode(F.sequence(F.lit(1).cast("bigint"), F.col(WEIGHT))))
    keys = _keys(net.where(F.col(WEIGHT) < 0), names)
    matched = _only(_within(view, keys), keys, names, how="inner")
    numbered = matched.selectExpr(
        "*", f"row_number() OVER (PARTITION BY {', '.join(map(_quoted, names))} "
        f"ORDER BY {FILE}, {ROW}) AS n"
    )  # fmt: skip
    removed = numbered.where(F.col("n") <= -F.col(WEIGHT)).select(FILE, ROW)
    added = _in_files(repeated.select(*names), totals["rows"])
    return Patch(removed, added, totals["rows"], [signed, keys.rows])


def _net(state: State, argument: str | None) -> Column:
    """What a change adds to a total."""
    weight = F.col(WEIGHT)
    if argument is None:
        return F.sum(weight).alias(state.column)
    value = F.col(argument)
    if state.kind == "count":
        return F.sum(F.when(value.isNotNull(), weight).otherwise(F.lit(0))).alias(state.column)
    came = F.coalesce(F.sum(F.when(weight > 0, value)), F.lit(0))
    went = F.coalesce(F.sum(F.when(weight < 0, value)), F.lit(0))
    return (came - went).alias(state.column)


def _total(state: State) -> Column:
    held = F.coalesce(F.col(f"v.{state.column}"), F.lit(0))
    return held + F.col(f"k.{state.column}")


def _nulled(totals: DataFrame, spec: Additive) -> DataFrame:
    """Sums of no values are null, as in SQL."""
    sums = {
        s.column: F.when(F.col(s.counted_by) > 0, F.col(s.column))
        for s in spec.states
        if s.kind == "sum"
    }
    return totals.withColumns(sums) if sums else totals


def _is_alive(spec: Additive) -> Column:
    """Whether a group still has rows."""
    return F.col(next(state.column for state in spec.states if state.kind == "rows")) > 0


def _joined(keys: Keys, held: DataFrame, names: Sequence[str]) -> DataFrame:
    """Each touched group with what the view holds of it, if anything."""
    condition = reduce(Column.__and__, (_same(keys, name, "k", "v") for name in names))
    left = keys.rows.alias("k").join(held.alias("v"), condition, "left")
    chosen = [F.col(f"k.{name}").alias(name) for name in names]
    rest = [c for c in keys.rows.columns if c not in names]
    return left.select(
        *chosen,
        F.struct(*(F.col(f"v.{c}").alias(c) for c in rest)).alias("v"),
        F.struct(*(F.col(f"k.{c}").alias(c) for c in rest)).alias("k"),
    )


def _only(rows: DataFrame, keys: Keys, names: Sequence[str], how: str = "left_semi") -> DataFrame:
    """The rows whose keys are touched; `inner` adds nothing of the keys but `WEIGHT`."""
    wanted = keys.rows.select(*names, *([WEIGHT] if WEIGHT in keys.rows.columns else ()))
    touched_keys = F.broadcast(wanted) if keys.count <= _BROADCAST_ROWS else wanted
    renamed = touched_keys.alias("k")
    condition = reduce(Column.__and__, (_same(keys, name, "k", "v") for name in names))
    joined = rows.alias("v").join(renamed, condition, how)
    if how == "left_semi":
        return joined
    extra = [F.col(f"k.{WEIGHT}")] if WEIGHT in keys.rows.columns else []
    return joined.select("v.*", *extra)


def _same(keys: Keys, name: str, one: str, other: str) -> Column:
    ours, theirs = F.col(f"{one}.{_quoted(name)}"), F.col(f"{other}.{_quoted(name)}")
    return ours.eqNullSafe(theirs) if name in keys.has_null else ours == theirs


def _within(view: DataFrame, keys: Keys) -> DataFrame:
    """The files of a view that can hold touched keys, by their smallest and largest values."""
    for name, (low, high) in keys.bounds.items():
        view = view.where(f"{_quoted(name)} >= {low} AND {_quoted(name)} <= {high}")
    return view


def _keys(rows: DataFrame, names: Sequence[str]) -> Keys:
    """Keep the touched keys in memory, and learn their number and bounds in one pass."""
    kept = rows.persist()
    bounded = [name for name in names if isinstance(kept.schema[name].dataType, _BOUNDED)]
    nulls = [
        F.count_if(F.col(_quoted(name)).isNull()).alias(f"n{i}") for i, name in enumerate(names)
    ]
    ends = [
        end(_quoted(name)).cast("string").alias(f"{end.__name__}{i}")
        for i, name in enumerate(bounded)
        for end in (F.min, F.max)
    ]
    found = kept.agg(F.count("*").alias("rows"), *nulls, *ends).collect()[0]
    has_null = frozenset(name for i, name in enumerate(names) if found[f"n{i}"])
    bounds = {
        name: (_literal(kept, name, found[f"min{i}"]), _literal(kept, name, found[f"max{i}"]))
        for i, name in enumerate(bounded)
        if found["rows"] and name not in has_null
    }
    return Keys(kept, found["rows"], has_null, bounds)


def _literal(rows: DataFrame, name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"CAST('{escaped}' AS {rows.schema[name].dataType.simpleString()})"


def _as(rows: DataFrame, view: DataFrame, names: Sequence[str], *, strict: bool) -> DataFrame:
    """The named columns in the types that the view stores.

    Raises:
        UnfitError: `strict`, and one has another type.
    """
    types = {f.name: f.dataType for f in view.schema}
    for name in names:
        ours, stored = rows.schema[name].dataType, types.get(name)
        if strict and stored is not None and _plain(ours) != _plain(stored):
            raise UnfitError(
                f"{name} is {stored.simpleString()} and would be {ours.simpleString()}"
            )
    return rows.select(
        *(F.col(_quoted(n)).cast(types[n]).alias(n) if n in types else n for n in names)
    )


def _plain(of: T.DataType) -> str:
    return of.simpleString()


def _union(terms: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, terms)


def _in_files(rows: DataFrame | None, count: int) -> DataFrame | None:
    """Few files: the log and every later reader pay for each."""
    return None if rows is None else rows.repartition(max(1, count // _ROWS_PER_FILE + 1))


def _quoted(name: str) -> str:
    return f"`{name}`"
