"""Which rows of a view a change can alter: a query for the values of its keys, nothing else.

If the rows of one mention of a table change and nothing else does, then every row that a query
gains or loses agrees with some row of `touched` on the columns that `touched` returns. That holds
of a table's changed rows themselves, and each step up keeps it: a filter or projection acts on the
changed row alone; a join pairs it with rows that stay as they are; an aggregate alters only the
groups, and a window function only the partitions, that the changed row falls into.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from sqlglot import exp

from pipelines.views.algebra import (
    Input,
    Query,
    UnsupportedError,
    body_of,
    inputs,
    mention_number,
    mentions_in,
)
from pipelines.views.scope import Scope

NEW, OLD, CHANGE = "new", "old", "change"


@dataclass(frozen=True)
class Touched:
    """A query for the changed values of some of the columns that another one returns.

    Attributes:
        select: None if nothing is known of the rows that change.
        columns: what it returns; a subset of the columns of the other one.
    """

    select: exp.Query | None
    columns: tuple[str, ...] = ()


def touched_columns(query: Query, mention: int) -> tuple[str, ...]:
    """The columns on which all rows that change with one mention can be told from others."""
    return _touched(query.root, mention, None).columns


def touched(query: Query, mention: int, columns: tuple[str, ...]) -> exp.Query:
    """The values that some of `touched_columns` have in the rows that change with one mention."""
    found = _touched(query.root, mention, set(columns)).select
    if found is None:
        raise UnsupportedError(f"nothing is known of {columns}")
    in_order = [exp.column(column, "t").as_(column) for column in columns]
    return exp.select(*in_order).distinct().from_(exp.Subquery(this=found, alias=_alias("t")))


def bind(node: exp.Expr, name_of: Callable[[int], str]) -> exp.Expr:
    """A part of a query with each mention replaced by a table of the session."""
    bound = node.copy()
    for table in bound.find_all(exp.Table):
        table.set("this", exp.to_identifier(name_of(mention_number(table))))
    return bound


def state_of(mention: int, changed: int) -> str:
    """Mentions change one after the other: those before are new, those after are still old."""
    if mention == changed:
        return CHANGE
    return NEW if mention < changed else OLD


def _touched(node: exp.Query, mention: int, wanted: set[str] | None) -> Touched:
    """As much as can be known of the columns that are wanted; None: all."""
    if isinstance(node, exp.Union):
        return _of_union(node, mention, wanted)
    if isinstance(node, exp.Subquery):
        return _touched(body_of(node), mention, wanted)
    return _of_select(cast(exp.Select, node), mention, wanted)


def _of_union(union: exp.Union, mention: int, wanted: set[str] | None) -> Touched:
    """Columns of a UNION go by their place and are named by its first branch."""
    branches = (union.this, union.expression)
    branch = next(b for b in branches if mention in mentions_in(b))
    names = dict(zip(branch.named_selects, union.named_selects, strict=True))
    ours = None if wanted is None else {name for name, shown in names.items() if shown in wanted}
    below = _touched(branch, mention, ours)
    if below.select is None:
        return below
    columns = tuple(names[column] for column in below.columns)
    renamed = [exp.column(c, "u").as_(names[c]) for c in below.columns]
    select = exp.select(*renamed).from_(exp.Subquery(this=below.select, alias=_alias("u")))
    return Touched(select, columns)


def _of_select(select: exp.Select, mention: int, asked: set[str] | None) -> Touched:
    parts = inputs(select)
    place = next(n for n, part in enumerate(parts) if mention in mentions_in(part.node))
    changed = parts[place]
    node, known = _changed_input(changed, mention)
    if node is None:
        return Touched(None)
    scope = Scope(select, parts, place, known)
    wanted = [(name, e) for name, e in scope.known_outputs() if asked is None or name in asked]
    if not wanted:
        return Touched(None)
    return Touched(scope.query(wanted, node), tuple(name for name, _ in wanted))


def _changed_input(part: Input, mention: int) -> tuple[exp.Expr | None, set[str] | None]:
    """What stands for the changed input, and which of its columns are known; None: all."""
    if isinstance(part.node, exp.Table):
        return part.node.copy(), None
    below = _touched(body_of(part.node), mention, None)
    if below.select is None:
        return None, set()
    return exp.Subquery(this=below.select, alias=_alias(part.alias)), set(below.columns)


def _alias(name: str) -> exp.TableAlias:
    return exp.TableAlias(this=exp.to_identifier(name))
