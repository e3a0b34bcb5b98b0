"""Views whose columns follow from running totals, and which totals these are.

Sums and counts can be added to and taken from. The least and the greatest value can be added to; if
the one that is stored goes, its group is recomputed.
"""

from dataclasses import dataclass
from typing import cast

from sqlglot import exp

from pipelines.views.algebra import (
    Query,
    UnsupportedError,
    group_keys,
    inputs,
    output_expressions,
    text,
    windows,
)
from pipelines.views.never_null import NotNull, is_never_null
from pipelines.views.signed import linear_mentions, require_rows

ROWS = "__rows"
EXTREMES = ("min", "max", "min_by", "max_by")


@dataclass(frozen=True)
class State:
    """A running total that a view keeps.

    Attributes:
        column: where it is stored; hidden from readers if it opens with two underscores.
        kind: `rows`, `count` of values that are not null, `sum`, `min`, `max`, `min_by`, `max_by`.
        argument: what is counted, summed or compared.
        counted_by: the column that tells whether a sum has any value; else it is null.
        ordered_by: the `min` or `max` that goes with a `min_by` or `max_by`.
    """

    column: str
    kind: str
    argument: exp.Expr | None = None
    counted_by: str = ROWS
    ordered_by: str = ""

    @property
    def is_extreme(self) -> bool:
        return self.kind in EXTREMES


@dataclass(frozen=True)
class Additive:
    """A view of groups, all of whose columns follow from running totals.

    Attributes:
        keys: columns that tell the groups apart, with their expressions.
        outputs: the other columns, as Spark expressions over the columns of `states`.
        hidden: stored columns that the view itself does not return, with their expressions.
        linear: the mentions whose changes can be weighed.
        whole: columns of sums that must be of whole numbers.
    """

    keys: tuple[tuple[str, exp.Expr], ...]
    states: tuple[State, ...]
    outputs: tuple[tuple[str, str], ...]
    hidden: tuple[tuple[str, str], ...]
    linear: frozenset[int]
    whole: frozenset[str]

    @property
    def has_extremes(self) -> bool:
        """Whether some totals are least or greatest values."""
        return any(state.is_extreme for state in self.states)


def additive(query: Query, not_null: NotNull) -> Additive:
    """How to keep a view by its totals.

    Raises:
        UnsupportedError: it cannot be kept so.
    """
    root = query.root
    if not isinstance(root, exp.Select) or not (grouped := group_keys(root)):
        raise UnsupportedError("it has no groups")
    if root.args.get("having"):
        raise UnsupportedError("HAVING hides groups, whose totals would be lost")
    if windows(root) or root.args.get("distinct"):
        raise UnsupportedError("DISTINCT or a window function over the groups")
    for part in inputs(root):
        require_rows(part.node)
    keys = _keys(root, grouped)
    totals = _Totals(root, not_null, {name for name, _ in keys})
    names = {name for name, _ in keys}
    outputs = [(n, totals.over_states(e)) for n, e in output_expressions(root) if n not in names]
    return Additive(
        keys=tuple(keys),
        states=tuple(totals.states.values()),
        outputs=tuple(outputs),
        hidden=tuple(totals.hidden()),
        linear=linear_mentions(query),
        whole=frozenset(totals.whole),
    )


def with_totals(query: Query, spec: Additive | None) -> exp.Query:
    """The view's SELECT with the totals that it keeps beside its own columns."""
    if spec is None:
        return query.root
    select = cast(exp.Select, query.root.copy())
    for name, total in spec.hidden:
        select.select(f"{total} AS {name}", dialect="spark", copy=False)
    return select


def _keys(root: exp.Select, grouped: list[exp.Expr]) -> list[tuple[str, exp.Expr]]:
    keys: dict[str, tuple[str, exp.Expr]] = {}
    for name, expression in output_expressions(root):
        if text(expression) in {text(key) for key in grouped}:
            keys.setdefault(text(expression), (name, expression))
    for key in grouped:
        if text(key) not in keys and not isinstance(key, exp.Literal):
            raise UnsupportedError(f"it groups by {text(key)} and does not show it")
    if not keys:
        raise UnsupportedError("it shows none of its keys")
    return list(keys.values())


class _Totals:
    """Collects the running totals that a view's columns need."""

    def __init__(self, root: exp.Select, not_null: NotNull, keys: set[str]) -> None:
        self.root, self.not_null, self.keys = root, not_null, keys
        self.shown = {text(e): name for name, e in output_expressions(root) if name not in keys}
        self.states: dict[tuple[str, str], State] = {}
        self.whole: set[str] = set()
        self._rows()

    def over_states(self, expression: exp.Expr) -> str:
        """An output column as an expression over the columns of the states and keys."""
        copy = exp.Paren(this=expression.copy())
        if copy.find(exp.Filter):
            raise UnsupportedError(f"{text(expression)} is no total")
        for total in list(copy.find_all(exp.AggFunc)):
            total.replace(self._value(total))
        by_key = {text(e): name for name, e in _keys(self.root, group_keys(self.root) or [])}
        for node in list(copy.walk()):
            if node.parent is not None and text(node) in by_key:
                node.replace(exp.column(by_key[text(node)]))
        for column in copy.find_all(exp.Column):
            if column.table:
                raise UnsupportedError(f"{text(expression)} is no total")
        return text(copy.this)

    def hidden(self) -> list[tuple[str, str]]:
        found = []
        for state in self.states.values():
            if state.column.startswith("__"):
                argument = "*" if state.argument is None else text(state.argument)
                function = "COUNT" if state.kind == "rows" else state.kind.upper()
                found.append((state.column, f"{function}({argument})"))
        return found

    def _value(self, node: exp.AggFunc) -> exp.Expr:
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
            return exp.column(self._rows().column)
        argument = node.this
        plain = isinstance(argument, exp.Expr) and not isinstance(argument, exp.Distinct)
        if not plain or node.args.get("expressions") or node.args.get("count"):
            raise UnsupportedError(f"{text(node)} is no total")
        if isinstance(node, exp.Min | exp.Max):
            return exp.column(self._extreme(node.key, argument).column)
        if isinstance(node, exp.ArgMin | exp.ArgMax):
            return exp.column(self._at_extreme(node).column)
        if isinstance(node, exp.CountIf):
            argument = exp.Case(ifs=[exp.If(this=argument.copy(), true=exp.Literal.number(1))])
            return exp.column(self._count(argument).column)
        if isinstance(node, exp.Count):
            return exp.column(self._count(argument).column)
        if isinstance(node, exp.Sum):
            return exp.column(self._sum(argument).column)
        if isinstance(node, exp.Avg):
            total, count = self._sum(argument), self._count(argument)
            self.whole.add(total.column)
            number = exp.cast(exp.column(total.column), "DOUBLE")
            # Spark sums integers up as a DOUBLE here, exact below 2**53.
            return exp.Paren(this=exp.Div(this=number, expression=exp.column(count.column)))
        raise UnsupportedError(f"{text(node)} is no total")

    def _rows(self) -> State:
        column = self.shown.get("COUNT(*)", ROWS)
        return self.states.setdefault(("rows", ""), State(column, "rows", None, column))

    def _count(self, argument: exp.Expr) -> State:
        if is_never_null(argument, self.root, self.not_null):
            return self._rows()
        column = self.shown.get(f"COUNT({text(argument)})", f"__count_{len(self.states)}")
        state = State(column, "count", argument.copy(), column)
        return self.states.setdefault(("count", text(argument)), state)

    def _extreme(self, kind: str, argument: exp.Expr) -> State:
        shown = f"{kind.upper()}({text(argument)})"
        column = self.shown.get(shown, f"__{kind}_{len(self.states)}")
        return self.states.setdefault((kind, text(argument)), State(column, kind, argument.copy()))

    def _at_extreme(self, node: exp.ArgMin | exp.ArgMax) -> State:
        kind = "min" if isinstance(node, exp.ArgMin) else "max"
        order = self._extreme(kind, node.expression)
        if text(node) not in self.shown:
            raise UnsupportedError(f"{text(node)} is not shown by itself")
        state = State(
            self.shown[text(node)], f"{kind}_by", node.this.copy(), ordered_by=order.column
        )
        return self.states.setdefault((f"{kind}_by", text(node)), state)

    def _sum(self, argument: exp.Expr) -> State:
        counted_by = self._count(argument).column
        column = self.shown.get(f"SUM({text(argument)})", f"__sum_{len(self.states)}")
        state = State(column, "sum", argument.copy(), counted_by)
        return self.states.setdefault(("sum", text(argument)), state)
