"""Sums and counts: the signed rows that a change adds to what a view sums up, and their totals.

`changed rows` of a query over sources A and B are those of A joined with the new B, and those of B
joined with the old A. With a weight of 1 for each row that came and -1 for each that went, the sum
of the weights is how often a row came, whatever is repeated on either side.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from sqlglot import exp

from pipelines.views.algebra import (
    Query,
    UnsupportedError,
    body_of,
    group_keys,
    inputs,
    mention_number,
    mentions_in,
    output_expressions,
    text,
    windows,
)

WEIGHT = "__weight"
ROWS = "__rows"
NotNull = Callable[[int, str], bool]


@dataclass(frozen=True)
class State:
    """A running total that a view keeps.

    Attributes:
        column: where it is stored; hidden from readers if it opens with two underscores.
        kind: `rows`, `count` of values that are not null, or `sum`.
        argument: what is counted or summed.
        counted_by: the column that tells whether a sum has any value; else it is null.
    """

    column: str
    kind: str
    argument: exp.Expr | None = None
    counted_by: str = ROWS


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
        _require_rows(part.node)
    keys = _keys(root, grouped)
    totals = _Totals(root, not_null, {name for name, _ in keys})
    names = {name for name, _ in keys}
    outputs = [(n, totals.over_states(e)) for n, e in output_expressions(root) if n not in names]
    every = range(len(query.mentions))
    return Additive(
        keys=tuple(keys),
        states=tuple(totals.states.values()),
        outputs=tuple(outputs),
        hidden=tuple(totals.hidden()),
        linear=frozenset(m for m in every if _is_linear(root, m)),
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


def changed_rows(query: Query, mention: int, columns: Sequence[tuple[str, exp.Expr]]) -> exp.Select:
    """The rows that come and go with one mention, before they are grouped, each with its weight."""
    return _weighed(cast(exp.Select, query.root), mention, columns)


def is_row_by_row(query: Query) -> bool:
    """Whether each row of a view comes from its own source rows, as in a filter or projection."""
    try:
        _require_rows(query.root)
    except UnsupportedError:
        return False
    return True


def linear_mentions(query: Query) -> frozenset[int]:
    """The mentions whose changes can be weighed."""
    return frozenset(m for m in range(len(query.mentions)) if _is_linear(query.root, m))


def signed_rows(query: Query, mention: int) -> exp.Query:
    """The rows that come and go with one mention of a view that is kept row by row."""
    return _weighed_query(query.root, mention)


def _weighed_query(node: exp.Query, mention: int) -> exp.Select:
    if isinstance(node, exp.Subquery):
        return _weighed_query(body_of(node), mention)
    if isinstance(node, exp.Union):
        branch = next(b for b in (node.this, node.expression) if mention in mentions_in(b))
        below = _weighed_query(branch, mention)
        names = zip(branch.named_selects, node.named_selects, strict=True)
        renamed = [exp.column(name, "u").as_(shown) for name, shown in names]
        source = exp.Subquery(this=below, alias=exp.TableAlias(this=exp.to_identifier("u")))
        return exp.select(*renamed, exp.column(WEIGHT, "u")).from_(source)
    select = cast(exp.Select, node)
    return _weighed(select, mention, output_expressions(select))


def _weighed(
    select: exp.Select, mention: int, columns: Sequence[tuple[str, exp.Expr]]
) -> exp.Select:
    weighed = select.copy()
    for clause in ("group", "having", "distinct"):
        weighed.set(clause, None)
    for part in inputs(weighed):
        if mention not in mentions_in(part.node):
            continue
        weight = exp.column(WEIGHT, part.alias)
        if isinstance(part.node, exp.Subquery):
            part.node.set("this", _weighed_query(body_of(part.node), mention))
    weighed.set("expressions", [e.copy().as_(name) for name, e in columns] + [weight.as_(WEIGHT)])
    return weighed


def _require_rows(node: exp.Expr) -> None:
    """Refuse what is not computed row by row."""
    if isinstance(node, exp.Table):
        return
    if isinstance(node, exp.Subquery):
        _require_rows(body_of(node))
    elif isinstance(node, exp.Union):
        if node.args.get("distinct"):
            raise UnsupportedError("UNION drops duplicates")
        _require_rows(node.this)
        _require_rows(node.expression)
    else:
        select = cast(exp.Select, node)
        if group_keys(select) is not None or windows(select) or select.args.get("distinct"):
            raise UnsupportedError("it groups or ranks rows below its own groups")
        for part in inputs(select):
            _require_rows(part.node)


def _is_linear(node: exp.Query, mention: int) -> bool:
    """Whether a mention stands nowhere that a row's absence shows."""
    for select in node.find_all(exp.Select):
        for part in inputs(select):
            if part.kind in ("left", "semi", "anti") and mention in mentions_in(part.node):
                return False
    return True


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
                function = "SUM" if state.kind == "sum" else "COUNT"
                found.append((state.column, f"{function}({argument})"))
        return found

    def _value(self, node: exp.AggFunc) -> exp.Expr:
        if isinstance(node, exp.Count) and isinstance(node.this, exp.Star):
            return exp.column(self._rows().column)
        argument = node.this
        plain = isinstance(argument, exp.Expr) and not isinstance(argument, exp.Distinct)
        if not plain or node.args.get("expressions"):
            raise UnsupportedError(f"{text(node)} is no total")
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
        if _is_never_null(argument, self.root, self.not_null):
            return self._rows()
        column = self.shown.get(f"COUNT({text(argument)})", f"__count_{len(self.states)}")
        state = State(column, "count", argument.copy(), column)
        return self.states.setdefault(("count", text(argument)), state)

    def _sum(self, argument: exp.Expr) -> State:
        counted_by = self._count(argument).column
        column = self.shown.get(f"SUM({text(argument)})", f"__sum_{len(self.states)}")
        state = State(column, "sum", argument.copy(), counted_by)
        return self.states.setdefault(("sum", text(argument)), state)


def _is_never_null(node: exp.Expr, select: exp.Select, not_null: NotNull) -> bool:
    """Whether an expression has a value in every row; False if that is not plain to see."""
    if isinstance(node, exp.Literal):
        return True
    if isinstance(node, exp.Column):
        return _is_column_never_null(node, select, not_null)
    if isinstance(node, exp.Coalesce):
        parts = [node.this, *node.expressions]
        return any(_is_never_null(part, select, not_null) for part in parts)
    if isinstance(node, (exp.Neg, exp.Paren, exp.Add, exp.Sub, exp.Mul)):
        return all(_is_never_null(n, select, not_null) for n in node.iter_expressions())
    return False


def _is_column_never_null(column: exp.Column, select: exp.Select, not_null: NotNull) -> bool:
    part = next((p for p in inputs(select) if p.alias == column.table), None)
    if part is None or part.kind == "left":
        return False
    if isinstance(part.node, exp.Table):
        return not_null(mention_number(part.node), column.name)
    return _is_output_never_null(body_of(part.node), column.name, not_null)


def _is_output_never_null(query: exp.Query, name: str, not_null: NotNull) -> bool:
    if isinstance(query, exp.Subquery):
        return _is_output_never_null(body_of(query), name, not_null)
    if isinstance(query, exp.Union):
        place = query.named_selects.index(name)
        return all(
            _is_output_never_null(branch, branch.named_selects[place], not_null)
            for branch in (query.this, query.expression)
        )
    select = cast(exp.Select, query)
    return _is_never_null(dict(output_expressions(select))[name], select, not_null)
