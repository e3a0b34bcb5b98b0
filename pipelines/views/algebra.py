"""A view's SQL in a normal form, and what can be said of a query without running it.

In the normal form every column is qualified, stars, `GROUP BY ALL` and common table expressions
are expanded, and each mention of a table stands as `mention_<n>`, so that two mentions of one
table can be read at different versions.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import cast

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify

from pipelines.view import parse_select, table_name

# Functions of Spark that sqlglot does not know, and that are not computed row by row.
AGGREGATES = frozenset(
    {"bitmap_and_agg", "count_min_sketch", "every", "histogram_numeric", "hll_sketch_agg"}
    | {"hll_union_agg", "kll_sketch_agg_bigint", "kll_sketch_agg_double", "kll_sketch_agg_float"}
    | {"mean", "schema_of_json_agg", "schema_of_variant_agg", "some", "std", "try_avg", "try_sum"}
    | {"theta_intersection_agg", "theta_sketch_agg", "theta_union_agg"}
)
_GENERATORS = frozenset({"json_tuple", "session_window", "stack", "inline", "variant_explode"})
_JOINS = {
    ("", ""): "inner", ("", "INNER"): "inner", ("", "CROSS"): "inner", ("LEFT", ""): "left",
    ("LEFT", "OUTER"): "left", ("LEFT", "SEMI"): "semi", ("LEFT", "ANTI"): "anti",
}  # fmt: skip
_CLAUSES = {
    "with_", "kind", "expressions", "hint", "distinct", "from_", "joins", "where", "group",
    "having", "operation_modifiers",
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


def inputs(select: exp.Select) -> list[Input]:
    """The tables and subqueries that a SELECT reads, in order."""
    clause = select.args.get("from_")
    if clause is None:
        return []
    first = clause.this
    found = [Input(first.alias_or_name, first, "from", ())]
    for join in select.args.get("joins") or ():
        kind = _JOINS[join.side, join.kind]
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
    aggregates = any(is_aggregate(node) for node in _own(select) if not _is_windowed(node))
    return [] if aggregates or select.args.get("having") else None


def windows(select: exp.Select) -> list[exp.Window]:
    """The window functions of a SELECT, those of its subqueries aside."""
    return [node for node in _own(select) if isinstance(node, exp.Window)]


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


def _own(select: exp.Select) -> Iterator[exp.Expr]:
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
        if (join.side, join.kind) not in _JOINS or join.args.get("using") or join.method:
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
    for node in _own(select):
        name = node.name.lower() if isinstance(node, exp.Anonymous) else ""
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
