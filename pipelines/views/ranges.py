"""Reading less: what the touched keys' smallest and largest values say of the rows below.

A condition on a mention may only leave out rows that no touched row of the view comes from. It is
given for a column that the key is, or is a window of time of, wherever the key goes down to that
mention through groups and partitions that it is part of.
"""

import re
from collections.abc import Iterator, Mapping
from typing import cast

from sqlglot import exp

from pipelines.views.algebra import (
    Query,
    body_of,
    conjuncts,
    group_keys,
    inputs,
    is_made_of,
    mentions_in,
    output_expressions,
    text,
    unwrapped,
    windows,
)

_LONGEST = {
    "SECOND": "1 SECOND", "MINUTE": "1 MINUTE", "HOUR": "1 HOUR", "DAY": "1 DAY", "WEEK": "7 DAYS",
    "MONTH": "31 DAYS", "QUARTER": "92 DAYS", "YEAR": "366 DAYS",
}  # fmt: skip


def conditions(query: Query, bounds: Mapping[str, tuple[str, str]]) -> dict[int, list[str]]:
    """What the rows of each mention must meet.

    Args:
        bounds: key column -> its smallest and largest touched value, as Spark literals.
    """
    found: dict[int, list[str]] = {}
    for mention in range(len(query.mentions)):
        for column, (low, high) in bounds.items():
            expression = below(query.root, column, mention)
            if expression is not None:
                found.setdefault(mention, []).extend(_within(expression, low, high))
    return found


def below(node: exp.Query, column: str, mention: int) -> exp.Expr | None:
    """An output column as an expression over the columns of one mention, if it is one."""
    if isinstance(node, exp.Subquery):
        return below(body_of(node), column, mention)
    if isinstance(node, exp.Union):
        branch = next(b for b in (node.this, node.expression) if mention in mentions_in(b))
        place = node.named_selects.index(column)
        return below(branch, branch.named_selects[place], mention)
    select = cast(exp.Select, node)
    expression = dict(output_expressions(select))[column]
    if not _is_kept_apart(select, expression):
        return None
    part = next(p for p in inputs(select) if mention in mentions_in(p.node))
    if part.kind not in ("from", "inner"):
        return None
    expression = _over(select, expression, part.alias)
    columns = list(expression.find_all(exp.Column))
    if not columns or any(c.table != part.alias for c in columns):
        return None
    if isinstance(part.node, exp.Table):
        return expression
    return _through(expression, body_of(part.node), mention)


def _through(expression: exp.Expr, query: exp.Query, mention: int) -> exp.Expr | None:
    copy = exp.Paren(this=expression.copy())
    for column in list(copy.find_all(exp.Column)):
        deeper = below(query, column.name, mention)
        if deeper is None:
            return None
        column.replace(deeper.copy())
    return unwrapped(copy)


def _is_kept_apart(select: exp.Select, expression: exp.Expr) -> bool:
    """Whether rows that differ in an expression never meet in one group or window."""
    grouped = group_keys(select)
    if grouped is not None and not is_made_of(expression, {text(key) for key in grouped}):
        return False
    return all(
        is_made_of(expression, {text(key) for key in window.args.get("partition_by") or ()})
        for window in windows(select)
    )


def _over(select: exp.Select, expression: exp.Expr, alias: str) -> exp.Expr:
    """The expression over the columns of one input, where inner joins make them equal."""
    equal: dict[str, exp.Column] = {}
    for part in inputs(select):
        for condition in part.on if part.kind == "inner" else ():
            for one, other in _equal(condition):
                if one.table == alias:
                    equal.setdefault(text(other), one)
    where = select.args.get("where")
    for condition in conjuncts(where.this if where else None):
        for one, other in _equal(condition):
            if one.table == alias:
                equal.setdefault(text(other), one)
    copy = exp.Paren(this=expression.copy())
    for column in list(copy.find_all(exp.Column)):
        if column.table != alias and text(column) in equal:
            column.replace(equal[text(column)].copy())
    return unwrapped(copy)


def _equal(condition: exp.Expr) -> Iterator[tuple[exp.Column, exp.Column]]:
    if isinstance(condition, exp.EQ):
        one, other = condition.this, condition.expression
        if isinstance(one, exp.Column) and isinstance(other, exp.Column):
            yield one, other
            yield other, one


def _within(expression: exp.Expr, low: str, high: str) -> list[str]:
    """Conditions that hold of a column wherever an expression of it lies in [low, high]."""
    if isinstance(expression, exp.Column):
        column = f"`{expression.name}`"
        return [f"{column} >= {low}", f"{column} <= {high}"]
    if isinstance(expression, exp.TimestampTrunc) and isinstance(expression.this, exp.Column):
        length = _LONGEST.get(expression.args["unit"].name.upper())
        return _window(expression.this.name, low, high, length)
    if isinstance(expression, exp.Cast) and expression.to.is_type("date"):
        return _day(expression.this, low, high)
    if isinstance(expression, exp.TsOrDsToDate):
        return _day(expression.this, low, high)
    if isinstance(expression, exp.Dot) and expression.expression.name.lower() == "start":
        return _start_of_window(expression.this, low, high)
    return []


def _day(column: exp.Expr, low: str, high: str) -> list[str]:
    return _window(column.name, low, high, "1 DAY") if isinstance(column, exp.Column) else []


def _start_of_window(call: exp.Expr, low: str, high: str) -> list[str]:
    """`window(column, length, …).start` of tumbling and hopping windows."""
    if not isinstance(call, exp.Anonymous) or call.name.lower() != "window":
        return []
    column, length = call.expressions[0], call.expressions[1]
    if not isinstance(column, exp.Column) or not re.fullmatch(r"\d+ \w+", length.name):
        return []
    return _window(column.name, low, high, length.name)


def _window(column: str, low: str, high: str, length: str | None) -> list[str]:
    if length is None:
        return []
    return [f"`{column}` >= {low}", f"`{column}` < CAST({high} AS TIMESTAMP) + INTERVAL {length}"]
