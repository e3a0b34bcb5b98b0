"""What can be said of a query in the normal form, without running it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import cast

from sqlglot import exp

# Functions of Spark that sqlglot does not know, and that are not computed row by row.
AGGREGATES = frozenset(
    {"bitmap_and_agg", "count_min_sketch", "every", "histogram_numeric", "hll_sketch_agg"}
    | {"hll_union_agg", "kll_sketch_agg_bigint", "kll_sketch_agg_double", "kll_sketch_agg_float"}
    | {"mean", "schema_of_json_agg", "schema_of_variant_agg", "some", "std", "try_avg", "try_sum"}
    | {"theta_intersection_agg", "theta_sketch_agg", "theta_union_agg"}
)


JOINS = {
    ("", ""): "inner", ("", "INNER"): "inner", ("", "CROSS"): "inner", ("LEFT", ""): "left",
    ("LEFT", "OUTER"): "left", ("LEFT", "SEMI"): "semi", ("LEFT", "ANTI"): "anti",
}  # fmt: skip


class UnsupportedError(Exception):
    """A construct that is only kept by recomputation; the text names it."""


@dataclass(frozen=True)
class Query:
    """A view's SELECT in the normal form.

    Attributes:
        mentions: the table of each mention, by its number.
    """

    root: exp.Query
    mentions: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.alias_or_name for column in self.root.selects)


@dataclass(frozen=True)
class Input:
    """One table or subquery of a FROM clause, and how it is joined to those before it."""

    alias: str
    node: exp.Expr
    kind: str
    on: tuple[exp.Expr, ...]


def inputs(select: exp.Select) -> list[Input]:
    """The tables and subqueries that a SELECT reads, in order."""
    clause = select.args.get("from_")
    if clause is None:
        return []
    first = clause.this
    found = [Input(first.alias_or_name, first, "from", ())]
    for join in select.args.get("joins") or ():
        kind = JOINS[join.side, join.kind]
        on = join.args.get("on")
        found.append(Input(join.this.alias_or_name, join.this, kind, tuple(conjuncts(on))))
    return found


def conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    """The conditions that must all hold."""
    if isinstance(condition, exp.Paren):
        yield from conjuncts(condition.this)
    elif isinstance(condition, exp.And):
        yield from conjuncts(condition.this)
        yield from conjuncts(condition.expression)
    elif condition is not None:
        yield condition


def all_of(conditions: Sequence[exp.Expr]) -> exp.Expr | None:
    """One condition that holds where all do; None if there is none."""
    if not conditions:
        return None
    return reduce(lambda a, b: exp.And(this=a, expression=b), (c.copy() for c in conditions))


def mentions_in(node: exp.Expr) -> set[int]:
    """Numbers of the mentions within a part of a query."""
    return {mention_number(table) for table in node.find_all(exp.Table)}


def mention_number(table: exp.Table) -> int:
    return int(table.name.removeprefix("mention_"))


def body_of(node: exp.Expr) -> exp.Query:
    """The query within a subquery of a FROM clause."""
    return cast(exp.Query, node.this)


def output_expressions(select: exp.Select) -> list[tuple[str, exp.Expr]]:
    """Names and expressions of what a SELECT returns."""
    return [(column.alias_or_name, column.unalias()) for column in select.selects]


def group_keys(select: exp.Select) -> list[exp.Expr] | None:
    """What a SELECT groups by; None if it does not aggregate, empty if it makes one group."""
    group = select.args.get("group")
    if group is not None:
        return list(group.expressions)
    aggregates = any(
        is_aggregate(node) for node in own_expressions(select) if not _is_windowed(node)
    )
    return [] if aggregates or select.args.get("having") else None


def windows(select: exp.Select) -> list[exp.Window]:
    """The window functions of a SELECT, those of its subqueries aside."""
    return [node for node in own_expressions(select) if isinstance(node, exp.Window)]


def is_aggregate(node: exp.Expr) -> bool:
    return isinstance(node, exp.AggFunc) or (
        isinstance(node, exp.Anonymous) and node.name.lower() in AGGREGATES
    )


def text(node: exp.Expr) -> str:
    """An expression as Spark reads it; equal texts mean the same within one SELECT."""
    return node.sql(dialect="spark")


def is_made_of(node: exp.Expr, known: set[str]) -> bool:
    """Whether an expression depends on nothing but the expressions whose texts are known."""
    if text(node) in known:
        return True
    if isinstance(node, (exp.Column, exp.Window, exp.Star)) or is_aggregate(node):
        return False
    return all(is_made_of(child, known) for child in node.iter_expressions())


def unwrapped(holder: exp.Expr) -> exp.Expr:
    """What stands in a clause or in parentheses."""
    return cast(exp.Expr, holder.this)


def columns_of(node: exp.Expr) -> set[str]:
    """Texts of the columns that an expression names."""
    return {text(column) for column in node.find_all(exp.Column)}


def own_expressions(select: exp.Select) -> Iterator[exp.Expr]:
    """The expressions of a SELECT without those of the subqueries it reads."""
    parts = [*select.expressions, select.args.get("having"), *_order_parts(select)]
    for part in parts:
        if part is not None:
            yield from part.walk()


def _order_parts(select: exp.Select) -> list[exp.Expr]:
    group = select.args.get("group")
    return list(group.expressions) if group is not None else []


def _is_windowed(node: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None and not isinstance(parent, exp.Select):
        if isinstance(parent, exp.Window) and parent.this is node:
            return True
        if not isinstance(parent, (exp.IgnoreNulls, exp.RespectNulls, exp.Filter)):
            return False
        node, parent = parent, parent.parent
    return False
