"""The signed rows that a change adds to a view: 1 for each that came, -1 for each that went.

The changed rows of a query over sources A and B are those of A joined with the new B, and those of
B joined with the old A. With their weights, a row counts as often as it came less as often as it
went, whatever is repeated on either side.
"""

from collections.abc import Sequence
from typing import cast

from sqlglot import exp

from pipelines.views.algebra import (
    Query,
    UnsupportedError,
    body_of,
    group_keys,
    inputs,
    mentions_in,
    output_expressions,
    windows,
)

WEIGHT = "__weight"


def changed_rows(query: Query, mention: int, columns: Sequence[tuple[str, exp.Expr]]) -> exp.Select:
    """The rows that come and go with one mention, before they are grouped, each with its weight."""
    return _weighed(cast(exp.Select, query.root), mention, columns)


def is_row_by_row(query: Query) -> bool:
    """Whether each row of a view comes from its own source rows, as in a filter or projection."""
    try:
        require_rows(query.root)
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


def require_rows(node: exp.Expr) -> None:
    """Refuse what is not computed row by row."""
    if isinstance(node, exp.Table):
        return
    if isinstance(node, exp.Subquery):
        require_rows(body_of(node))
    elif isinstance(node, exp.Union):
        if node.args.get("distinct"):
            raise UnsupportedError("UNION drops duplicates")
        require_rows(node.this)
        require_rows(node.expression)
    else:
        select = cast(exp.Select, node)
        if group_keys(select) is not None or windows(select) or select.args.get("distinct"):
            raise UnsupportedError("it groups or ranks rows below its own groups")
        for part in inputs(select):
            require_rows(part.node)


def _is_linear(node: exp.Query, mention: int) -> bool:
    """Whether a mention stands nowhere that a row's absence shows."""
    for select in node.find_all(exp.Select):
        for part in inputs(select):
            if part.kind in ("left", "semi", "anti") and mention in mentions_in(part.node):
                return False
    return True
