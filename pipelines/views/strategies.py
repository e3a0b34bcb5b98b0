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

from pipelines.io.patch import FILE, ROW
from pipelines.views.algebra import Query
from pipelines.views.keys import Keys, find_keys, only, quoted, same, within
from pipelines.views.ranges import conditions
from pipelines.views.signed import WEIGHT, changed_rows, signed_rows
from pipelines.views.sources import Sources
from pipelines.views.sums import (
    IS_LOST,
    argument_of,
    is_alive,
    net,
    new_totals,
    nulled,
)
from pipelines.views.totals import Additive, with_totals
from pipelines.views.touched import NEW, state_of, touched

_ROWS_PER_FILE = 2_000_000


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
        UnfitError: more than `at_most` rows of the view are touched.
    """
    terms = [
        sources.run(touched(query, m, tuple(columns)), query, partial(state_of, changed=m))
        for m in sources.changed(query)
    ]
    keys = find_keys(_as(_union(terms).distinct(), view, columns, strict=True), columns)
    if not keys.count:
        return Patch(None, None, 0, [keys.rows])
    held = only(within(view, keys), keys, columns).select(FILE, ROW).persist()
    if (count := held.count()) > at_most:
        keys.rows.unpersist()
        held.unpersist()
        raise UnfitError(f"{count:,} rows are touched, a recomputation is less work")
    added = _recomputed(sources, query, view, spec, keys, columns)
    return Patch(held, _in_files(added, count + keys.count), keys.count, [keys.rows, held])


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
    wanted = list(spec.keys) + [(argument_of(s), s.argument) for s in spec.states if s.argument]
    terms = [
        sources.run(changed_rows(query, m, wanted), query, partial(state_of, changed=m))
        for m in sources.changed(query)
    ]
    keys = find_keys(_as(net(_union(terms), names, spec), view, view.columns, strict=False), names)
    if keys.count > at_most:
        keys.rows.unpersist()
        raise UnfitError(f"{keys.count:,} groups are touched, a recomputation is less work")
    if not keys.count:
        return Patch(None, None, 0, [keys.rows])
    held = only(within(view, keys), keys, names, how="inner").persist()
    totals = new_totals(_joined(keys, held, names), names, spec)
    stored = [name for name in view.columns if name not in (FILE, ROW)]
    patch = Patch(held.select(FILE, ROW), None, keys.count, [keys.rows, held])
    if spec.has_extremes:
        totals = totals.persist()
        lost = find_keys(totals.where(IS_LOST).select(*names), names)
        patch.kept += [totals, lost.rows]
        if lost.count > at_most:
            for frame in patch.kept:
                frame.unpersist()
            raise UnfitError(f"{lost.count:,} groups lost their least or greatest value")
        totals = totals.where(~F.col(IS_LOST))
    values = _as(_values(totals.where(is_alive(spec)), names, spec), view, stored, strict=False)
    if spec.has_extremes and lost.count:
        values = values.unionByName(_recomputed(sources, query, view, spec, lost, names))
    patch.added = _in_files(values, keys.count)
    return patch


def _recomputed(
    sources: Sources,
    query: Query,
    view: DataFrame,
    spec: Additive | None,
    keys: Keys,
    names: Sequence[str],
) -> DataFrame:
    """The stored rows of some keys, by the view's own SQL."""
    restricted = conditions(query, keys.bounds)
    fresh = sources.run(with_totals(query, spec), query, lambda _: NEW, restricted)
    stored = [name for name in view.columns if name not in (FILE, ROW)]
    return _as(only(fresh, keys, names), view, stored, strict=True)


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
    keys = find_keys(net.where(F.col(WEIGHT) < 0), names)
    matched = only(within(view, keys), keys, names, how="inner")
    numbered = matched.selectExpr(
        "*", f"row_number() OVER (PARTITION BY {', '.join(map(quoted, names))} "
        f"ORDER BY {FILE}, {ROW}) AS n"
    )  # fmt: skip
    removed = numbered.where(F.col("n") <= -F.col(WEIGHT)).select(FILE, ROW)
    added = _in_files(repeated.select(*names), totals["rows"])
    return Patch(removed, added, totals["rows"], [signed, keys.rows])


def _values(totals: DataFrame, names: Sequence[str], spec: Additive) -> DataFrame:
    """The stored columns that follow from the totals."""
    outputs = [F.expr(text).alias(name) for name, text in spec.outputs]
    return nulled(totals, spec).select(*names, *outputs, *(name for name, _ in spec.hidden))


def _joined(keys: Keys, held: DataFrame, names: Sequence[str]) -> DataFrame:
    """Each touched group with what the view holds of it, if anything."""
    condition = reduce(Column.__and__, (same(keys, name, "k", "v") for name in names))
    left = keys.rows.alias("k").join(held.alias("v"), condition, "left")
    chosen = [F.col(f"k.{name}").alias(name) for name in names]
    rest = [c for c in keys.rows.columns if c not in names]
    return left.select(
        *chosen,
        F.struct(*(F.col(f"v.{c}").alias(c) for c in rest if c in held.columns)).alias("v"),
        F.struct(*(F.col(f"k.{c}").alias(c) for c in rest)).alias("k"),
    )


def _as(rows: DataFrame, view: DataFrame, names: Sequence[str], *, strict: bool) -> DataFrame:
    """The named columns in the types that the view stores.

    Raises:
        UnfitError: `strict`, and one has another type.
    """
    types = {f.name: f.dataType for f in view.schema}
    for name in names if strict else ():
        ours, stored = rows.schema[name].dataType, types.get(name)
        if stored is not None and ours.simpleString() != stored.simpleString():
            raise UnfitError(
                f"{name} is {stored.simpleString()} and would be {ours.simpleString()}"
            )
    chosen = names if strict else [*(n for n in names if n in rows.columns), *_others(rows, names)]
    return rows.select(
        *(F.col(quoted(n)).cast(types[n]).alias(n) if n in types else n for n in chosen)
    )


def _others(rows: DataFrame, names: Sequence[str]) -> list[str]:
    return [name for name in rows.columns if name not in names]


def _union(terms: list[DataFrame]) -> DataFrame:
    return reduce(DataFrame.unionByName, terms)


def _in_files(rows: DataFrame | None, count: int) -> DataFrame | None:
    """Few files: the log and every later reader pay for each."""
    return None if rows is None else rows.repartition(max(1, count // _ROWS_PER_FILE + 1))
