"""What a user's SQL may do: one SELECT, over tables that were granted, of functions that are known.

The check is an allow-list over the parsed query, and Spark is given the text that is made from
that same tree: what was not understood here is never run there.
"""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from sqlglot import exp

from pipelines.errors import QueryError
from pipelines.io.functions import ALLOWED
from pipelines.view import table_name

# The parts of a query, and what each may have.
_SELECT = {
    "with_", "expressions", "from_", "joins", "laterals", "where", "group", "having", "qualify",
    "windows", "order", "sort", "limit", "offset", "distinct", "pivots", "sample", "alias", "this",
    "expression", "by_name",
}  # fmt: skip
_TABLE = {"this", "db", "catalog", "alias", "joins", "laterals", "pivots", "sample"}
_JOIN = {"this", "on", "using", "side", "kind", "method"}
_PARTS = (
    exp.Alias, exp.Aliases, exp.All, exp.Any, exp.ColumnDef, exp.CTE, exp.Cube, exp.DataType,
    exp.DataTypeParam, exp.Distinct, exp.Except, exp.From, exp.Fetch, exp.Filter, exp.Group,
    exp.GroupingSets, exp.Having, exp.Identifier, exp.IgnoreNulls, exp.In, exp.Intersect,
    exp.Interval, exp.IntervalSpan, exp.Join, exp.Lambda, exp.Kwarg, exp.Lateral, exp.Limit,
    exp.Offset, exp.Order, exp.Ordered, exp.Pivot, exp.PivotAlias, exp.PropertyEQ, exp.Qualify,
    exp.RespectNulls, exp.Rollup, exp.Sort, exp.Star, exp.Subquery, exp.Table, exp.TableAlias,
    exp.TableSample, exp.Tuple, exp.UnpivotColumns, exp.Values, exp.Var, exp.Where, exp.Window,
    exp.WindowSpec, exp.With, exp.WithinGroup, exp.Query, exp.Condition,
)  # fmt: skip
# They are values too, of which the caller or the session decides.
_FROM_OUTSIDE = (exp.Parameter, exp.Placeholder, exp.SessionParameter, exp.PseudoType)
_FILES = (exp.ReadCSV, exp.ReadParquet)
_CALLED = re.compile(r"`?([A-Za-z_][A-Za-z_0-9]*)`?\(")


def check_granted(select: exp.Query, tables: Iterable[str], patterns: Iterable[str]) -> None:
    """Refuse a query that does more than read granted tables.

    Args:
        tables: the lake's tables.
        patterns: the granted ones, such as `gold.*`.

    Raises:
        QueryError: names the part, function or table.
    """
    for node in select.walk():
        _check_part(node)
    known, granted = set(tables), tuple(patterns)
    for name in sorted(set(_read(select))):
        if name not in known:
            raise QueryError(f"query: no table {name}; there are {', '.join(sorted(known))}")
        if not any(fnmatchcase(name, pattern) for pattern in granted):
            raise QueryError(f"query: {name} is not granted; query.tables in conf/ says what is")


def _check_part(node: exp.Expr) -> None:
    if isinstance(node, exp.Query) and not _has_only(node, _SELECT):
        beyond = ", ".join(sorted(_given(node) - _SELECT)).replace("_", " ").strip()
        raise QueryError(f"query: a SELECT with {beyond} is not allowed")
    if isinstance(node, exp.Table) and not _has_only(node, _TABLE):
        beyond = ", ".join(sorted(_given(node) - _TABLE)).replace("_", " ").strip()
        raise QueryError(f"query: {table_name(node)} with {beyond} is not allowed")
    if isinstance(node, exp.Join) and not _has_only(node, _JOIN):
        raise QueryError("query: such a join is not allowed")
    if isinstance(node, exp.Func):
        _check_function(node)
    elif isinstance(node, _FROM_OUTSIDE) or not isinstance(node, _PARTS):
        raise QueryError(f"query: {type(node).__name__} is not allowed in it")
    if isinstance(node, exp.DataType) and node.this == exp.DType.USERDEFINED:
        raise QueryError(f"query: {node.sql('spark')[:60]} is not a type")


def _check_function(call: exp.Func) -> None:
    """A function by the name that Spark would be given; what has none is an operator."""
    if isinstance(call, exp.Anonymous | exp.AnonymousAggFunc):
        name = call.name
    else:
        found = _CALLED.match(call.sql(dialect="spark", comments=False))
        if not found:
            if isinstance(call.parent, exp.Table) or isinstance(call, _FILES):
                # As Spark's text they would be no calls but tables, such as parquet.`/etc/passwd`.
                raise QueryError(f"query: no table {call.sql('spark')[:60]}")
            if type(call) in (exp.CurrentUser, exp.SessionUser, exp.CurrentCatalog):
                raise QueryError(f"query: {call.key} is not a function that it may call")
            return
        name = found[1]
    if name.lower() not in ALLOWED:
        raise QueryError(
            f"query: {name.lower()[:60]} is not a function that it may call; see docs/gold.md"
        )


def _read(select: exp.Query) -> Iterator[str]:
    """Names of the tables that it reads; a name without a dot may be one that it gave itself."""
    for table in select.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            continue  # its name has been checked
        name = table_name(table)
        if table.args.get("db") or name.lower() not in _given_names(table):
            yield name


def _given_names(table: exp.Table) -> set[str]:
    """Lower-case names of the common table expressions that stand where a table is named."""
    names: set[str] = set()
    child: exp.Expr = table
    parent = table.parent
    while parent is not None:
        if isinstance(parent, exp.With):  # of those beside it, the ones before it
            place = next(n for n, cte in enumerate(parent.expressions) if cte is child)
            until = place + bool(parent.args.get("recursive"))
            names |= {cte.alias.lower() for cte in parent.expressions[:until]}
        elif (own := parent.args.get("with_")) and own is not child:
            names |= {cte.alias.lower() for cte in own.expressions}
        child, parent = parent, parent.parent
    return names


def _given(node: exp.Expr) -> set[str]:
    return {key for key, value in node.args.items() if value}


def _has_only(node: exp.Expr, allowed: set[str]) -> bool:
    return _given(node) <= allowed
