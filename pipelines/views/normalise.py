"""A view's SQL in a normal form.

Every column is qualified, stars, `GROUP BY ALL` and common table expressions are expanded, and each
mention of a table stands as `mention_<n>`, so that two mentions of one table can be read at
different versions.
"""

from collections.abc import Mapping, Sequence
from typing import cast

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from pipelines.view import parse_select, table_name
from pipelines.views.algebra import (
    JOINS,
    Query,
    UnsupportedError,
    group_keys,
    is_aggregate,
    is_made_of,
    output_expressions,
    own_expressions,
    text,
    windows,
)

_GENERATORS = frozenset({"json_tuple", "session_window", "stack", "inline", "variant_explode"})
_CLAUSES = {
    "with_", "kind", "expressions", "hint", "distinct", "from_", "joins", "where", "group",
    "having", "operation_modifiers",
}  # fmt: skip


def normalise(sql: str, where: str, columns: Mapping[str, Sequence[str]]) -> Query:
    """The normal form of a SELECT.

    Args:
        columns: names of the columns of each table that it reads.

    Raises:
        UnsupportedError: it holds what no strategy but recomputation keeps.
    """
    schema: dict[str, object] = {}
    for name, names in columns.items():
        layer, _, noun = name.partition(".")
        nouns = cast(dict[str, object], schema.setdefault(layer, {}))
        nouns[noun] = dict.fromkeys(names, "unknown")
    try:
        tree: exp.Expr = qualify(
            parse_select(sql, where).copy(), schema=schema, dialect="spark",
            quote_identifiers=False, identify=False,
        )  # fmt: skip
    except SqlglotError as error:
        raise UnsupportedError(f"its columns cannot be traced: {error}".splitlines()[0]) from None
    for node in tree.walk():
        node.comments = None
    tree = _inlined(tree, {})
    if not isinstance(tree, exp.Query):
        raise UnsupportedError("it is not a SELECT")
    for select in tree.find_all(exp.Select):
        _refuse(select)
        _group_explicitly(select)
    if unknown := next(tree.find_all(exp.Intersect, exp.Except), None):
        raise UnsupportedError(f"{unknown.key.upper()} is only kept by recomputation")
    _refuse_modifiers(tree)
    mentions = []
    for table in tree.find_all(exp.Table):
        mentions.append(table_name(table))
        table.replace(_mention(len(mentions) - 1, table.alias_or_name))
    return Query(tree, tuple(mentions))


def _mention(number: int, alias: str) -> exp.Table:
    table = exp.to_table(f"mention_{number}")
    table.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    return table


def _inlined(node: exp.Expr, outer: Mapping[str, exp.Expr]) -> exp.Expr:
    """The query with each mention of a common table expression replaced by its text."""
    known = dict(outer)
    with_ = node.args.get("with_")
    if with_ is not None:
        if with_.args.get("recursive"):
            raise UnsupportedError("WITH RECURSIVE is only kept by recomputation")
        for cte in with_.expressions:
            known[cte.alias] = _inlined(cte.this, known)
        with_.pop()
    for table in list(node.find_all(exp.Table)):
        if not table.db and table.name in known:
            alias = exp.TableAlias(this=exp.to_identifier(table.alias_or_name))
            table.replace(exp.Subquery(this=known[table.name].copy(), alias=alias))
    for nested in list(node.find_all(exp.Query)):
        if nested is not node and nested.args.get("with_") is not None:
            nested.replace(_inlined(nested, known))
    return node


def _refuse(select: exp.Select) -> None:
    """Refuse what no strategy understands, wherever it stands in a SELECT."""
    for clause, value in select.args.items():
        if value and clause not in _CLAUSES:
            raise UnsupportedError(f"{clause.rstrip('_').upper()} is only kept by recomputation")
    group = select.args.get("group")
    if group is not None and any(group.args.get(k) for k in ("cube", "rollup", "grouping_sets")):
        raise UnsupportedError("grouping sets are only kept by recomputation")
    for join in select.args.get("joins") or ():
        if (join.side, join.kind) not in JOINS or join.args.get("using") or join.method:
            raise UnsupportedError(f"{join.sql(dialect='spark').strip()[:40]}: this kind of join")
    for part in filter(None, (select.args.get("from_"), *(select.args.get("joins") or ()))):
        if not isinstance(part.this, (exp.Table, exp.Subquery)):
            raise UnsupportedError(f"{part.this.key.upper()} in FROM")
        if any(part.this.args.get(k) for k in ("sample", "pivots", "laterals", "version")):
            raise UnsupportedError("a sample, pivot or version in FROM")
    conditions = [join.args.get("on") for join in select.args.get("joins") or ()]
    for part in (*select.expressions, select.args.get("where"), *conditions):
        if part is not None and (nested := part.find(exp.Query)):
            raise UnsupportedError(f"a subquery outside FROM: {nested.sql(dialect='spark')[:60]}")
    row_by_row = group_keys(select) is None and not windows(select)
    for node in own_expressions(select):
        name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
        if isinstance(node, exp.Explode) and row_by_row and isinstance(node.parent, exp.Alias):
            continue  # each row makes rows of its own
        if isinstance(node, exp.UDTF) or name in _GENERATORS:
            raise UnsupportedError(
                f"{name or node.key} makes rows or windows that depend on others"
            )
        if isinstance(node, exp.Window) and isinstance(node.args.get("over"), exp.Identifier):
            raise UnsupportedError("a named window; write it out")


def _refuse_modifiers(tree: exp.Query) -> None:
    for union in tree.find_all(exp.Union):
        if any(union.args.get(clause) for clause in ("limit", "order", "offset", "by_name")):
            raise UnsupportedError("UNION with ORDER BY, LIMIT or BY NAME")


def _group_explicitly(select: exp.Select) -> None:
    """Replace GROUP BY ALL by the expressions that hold no aggregate, as Spark does."""
    group = select.args.get("group")
    if group is None or not group.args.get("all"):
        return
    keys = []
    for _, expression in output_expressions(select):
        if not any(is_aggregate(node) for node in expression.walk()):
            keys.append(expression.copy())
        elif not is_made_of(expression, {text(n) for n in expression.walk() if is_aggregate(n)}):
            raise UnsupportedError("GROUP BY ALL with a column beside an aggregate; name the keys")
    select.set("group", exp.Group(expressions=keys))
