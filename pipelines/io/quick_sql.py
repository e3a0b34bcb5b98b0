"""Spark SQL for DuckDB, as far as both give the same answer; the rest is refused with a reason.

What is not listed here is refused, so that a query that nobody thought of goes to Spark. Where the
engines differ in a detail, the text for DuckDB is made to agree (division by zero, which type a
sum has) or the query is refused (rounding, decimals, the order of null in arrays, ...).
"""

from collections.abc import Mapping

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from pipelines.io.quick_rules import AGGREGATES, agreeing
from pipelines.io.quick_types import FAMILIES, Refused

Columns = Mapping[str, Mapping[str, str]]


def duckdb_sql(select: exp.Query, columns: Columns) -> str:
    """The query for DuckDB, over views of the same names.

    Args:
        select: a parsed Spark query.
        columns: table -> column -> Spark type; types of other families may stand there, but a
            query that touches such a column is refused.

    Raises:
        Refused: the engines might answer differently.
    """
    _check_as_written(select, columns)
    schema = MappingSchema(dialect="spark")
    for name, types in columns.items():
        schema.add_table(name, {c: t if t in FAMILIES else "variant" for c, t in types.items()})
    try:
        full = qualify(_named(select), dialect="spark", schema=schema, quote_identifiers=True)
        typed = annotate_types(full, schema=schema, dialect="spark")
    except SqlglotError as error:
        raise Refused(str(error).splitlines()[0]) from None
    names = typed.named_selects
    if len(set(names)) < len(names):
        raise Refused("two columns of one name")
    for node in reversed(list(typed.walk(bfs=False))):  # parts before what is made of them
        made = agreeing(node)
        if made is not node:
            made.type = node.type
            node.replace(made)
    return str(typed.sql(dialect="duckdb"))


def _check_as_written(select: exp.Query, columns: Columns) -> None:
    """Which column a name means must not depend on the engine."""
    for name in (one.name for one in select.find_all(exp.Identifier)):
        if name != name.lower():
            raise Refused(f"{name} is not in lower case")
    inner = [cte.this for cte in select.find_all(exp.CTE)] + list(select.find_all(exp.Subquery))
    given = {c.alias_or_name for one in inner for c in one.selects}
    known = {column for table in columns.values() for column in table} | given
    for part in select.find_all(exp.Select):
        renamed = {
            c.alias for c in part.selects if isinstance(c, exp.Alias) and c.alias != c.this.name
        }
        for clause in ("where", "group", "having", "joins", "order"):
            for column in _bare_columns(part.args.get(clause)):
                is_only = clause == "order" and isinstance(column.parent, exp.Ordered)
                is_inside = clause == "having" and column.find_ancestor(exp.AggFunc)
                if column.name not in renamed or is_only or is_inside:
                    continue
                if column.name in known or clause in ("where", "joins"):
                    raise Refused(f"{column.name} names a column and an expression")


def _bare_columns(clause: exp.Expr | list[exp.Expr] | None) -> list[exp.Column]:
    parts = clause if isinstance(clause, list) else [clause] if clause else []
    return [c for part in parts for c in part.find_all(exp.Column) if not c.table]


def _named(select: exp.Query) -> exp.Query:
    """Aggregates without a name get the one that Spark gives them; the names of others differ."""
    named = select.copy()
    for column in named.selects:
        if isinstance(column, exp.Alias | exp.Column | exp.Star):
            continue
        of = column.this if isinstance(column, AGGREGATES) else None
        if isinstance(of, exp.Star):
            name = "count(1)"
        elif isinstance(of, exp.Column):
            name = f"{column.key}({of.name})"
        else:
            raise Refused("an expression without a name")
        column.replace(exp.alias_(column.copy(), name, quoted=True))
    return named
