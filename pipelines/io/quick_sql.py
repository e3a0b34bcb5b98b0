"""Spark SQL for DuckDB, as far as both give the same answer; the rest is refused with a reason.

What is not listed here is refused, so that a query that nobody thought of goes to Spark. Where the
engines differ in a detail, the text for DuckDB is made to agree (division by zero, which type a
sum has) or the query is refused (rounding, decimals, the order of null in arrays, ...).
"""

import re
from collections.abc import Callable, Mapping

from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify


class Refused(Exception):
    """DuckDB might not answer as Spark does; the text says why."""


# Spark's types that both engines have alike, by family.
INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
FAMILIES = dict.fromkeys(INTEGERS, "integer") | {
    "double": "double", "string": "text", "text": "text", "varchar": "text", "date": "date",
    "timestamp": "timestamp", "timestamptz": "timestamp", "boolean": "boolean", "null": "null",
}  # fmt: skip
_NUMBERS = {"integer", "double", "null"}
_AGGREGATES = (exp.Count, exp.Sum, exp.Avg, exp.Min, exp.Max)
_RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank)
_PLAIN = (
    exp.From, exp.Where, exp.Having, exp.Order, exp.With, exp.CTE, exp.TableAlias,
    exp.Subquery, exp.Identifier, exp.Alias, exp.Boolean, exp.Null, exp.Paren, exp.And, exp.Or,
    exp.Not, exp.Coalesce, exp.Case, exp.If, exp.Distinct, exp.Star, exp.Limit, exp.Var,
    exp.DataType, *_RANKS,
)  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_SAFE_CASTS = {("timestamp", "date"), ("date", "timestamp"), ("integer", "double")}
_UNITS = {"HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}

_CLAUSES = {
    "with", "with_", "expressions", "from", "from_", "joins", "where", "group", "having", "order",
    "limit", "distinct",
}  # fmt: skip

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
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for name, types in columns.items():
        layer, noun = name.split(".")
        known = {c: t if t in FAMILIES else "variant" for c, t in types.items()}
        schema.setdefault(layer, {})[noun] = known
    try:
        full = qualify(_named(select), dialect="spark", schema=schema, quote_identifiers=True)
        typed = annotate_types(full, schema=schema, dialect="spark")
    except SqlglotError as error:
        raise Refused(str(error).splitlines()[0]) from None
    names = typed.named_selects
    if len(set(names)) < len(names):
        raise Refused("two columns of one name")
    for node in reversed(list(typed.walk(bfs=False))):  # parts before what is made of them
        agreeing = _agreeing(node)
        if agreeing is not node:
            agreeing.type = node.type
            node.replace(agreeing)
    return str(typed.sql(dialect="duckdb"))


def family(node: exp.Expr) -> str:
    """The family of a part's type.

    Raises:
        Refused: it has none that both engines share.
    """
    if isinstance(node, exp.Null):
        return "null"
    if isinstance(node, exp.Subquery | exp.Select):
        (only,) = node.selects
        return family(only.unalias())
    said = node.type.sql("spark").lower() if node.type else "unknown"
    if isinstance(node, exp.Literal) and node.is_number and not node.is_int:
        said = "double" if "e" in node.name.lower() else "decimal"
    if said not in FAMILIES:
        raise Refused(f"the type {said} of {node.sql('spark')[:60]}")
    return FAMILIES[said]


def _check_as_written(select: exp.Query, columns: Columns) -> None:
    """Which column a name means must not depend on the engine."""
    for name in (one.name for one in select.find_all(exp.Identifier)):
        if name != name.lower():
            raise Refused(f"{name} is not in lower case")
    inner = [cte.this for cte in select.find_all(exp.CTE)] + list(select.find_all(exp.Subquery))
    given = {c.alias_or_name for one in inner for c in one.selects}
    known = {column for table in columns.values() for column in table} | given
    for part in select.find_all(exp.Select):
        renamed = {c.alias for c in part.selects if isinstance(c, exp.Alias) and c.alias != c.this.name}
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
        of = column.this if isinstance(column, _AGGREGATES) else None
        if isinstance(of, exp.Star):
            name = "count(1)"
        elif isinstance(of, exp.Column):
            name = f"{column.key}({of.name})"
        else:
            raise Refused("an expression without a name")
        column.replace(exp.alias_(column.copy(), name, quoted=True))
    return named


def _agreeing(node: exp.Expr) -> exp.Expr:
    """A part of the query as DuckDB must have it, its own parts being so already."""
    for kinds, rule in _RULES:
        if isinstance(node, kinds):
            return rule(node)
    if isinstance(node, _PLAIN):
        return node
    raise Refused(f"{type(node).__name__} in {node.sql('spark')[:60]}")


def _column(node: exp.Expr) -> exp.Expr:
    if node.args.get("table"):
        family(node)
    elif not isinstance(node.parent, exp.Ordered):
        raise Refused(f"{node.name} may be a column or a name given in the query")
    return node


def _table(node: exp.Expr) -> exp.Expr:
    extra = {k for k, v in node.args.items() if v} - {"this", "db", "alias"}
    if extra:
        raise Refused(f"{', '.join(sorted(extra))} of a table")
    return node


def _literal(node: exp.Expr) -> exp.Expr:
    if not node.args["is_string"] and not node.is_int and not isinstance(node.parent, exp.Predicate):
        raise Refused("a decimal number")
    if node.is_int and abs(int(node.name)) >= 2**31:
        raise Refused("a number beyond an INT")
    return node


def _comparison(node: exp.Expr) -> exp.Expr:
    """Both sides are of one family; a text beside a date or an instant is one, plainly written."""
    parts = _compared(node)
    kinds = {family(p) if not _is_decimal(p) else "double" for p in parts} - {"null"}
    if any(map(_is_decimal, parts)) and not kinds <= _NUMBERS:
        raise Refused("a decimal number beside something else")
    if len(kinds) < 2 or kinds <= _NUMBERS:
        return node
    moments = kinds & {"date", "timestamp"}
    for part in parts:
        if family(part) == "text":
            _retype(part, moments)
    if kinds - {"text"} != moments or not moments:
        raise Refused(f"a comparison of {' and '.join(sorted(kinds))}")
    return node


def _compared(node: exp.Expr) -> list[exp.Expr]:
    if isinstance(node, exp.In):
        query = node.args.get("query")
        return [node.this, *node.expressions, *([query] if query else [])]
    if isinstance(node, exp.Between):
        return [node.this, node.args["low"], node.args["high"]]
    return [node.left, node.right]


def _is_decimal(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal) and inner.is_number and not inner.is_int


def _retype(part: exp.Expr, moments: set[str]) -> None:
    """Let a text literal be the date or instant that it is compared with."""
    if len(moments) != 1 or not isinstance(part, exp.Literal):
        raise Refused("a text beside a date")
    pattern = _DATE if moments == {"date"} or _DATE.fullmatch(part.name) else _MOMENT
    if not pattern.fullmatch(part.name):
        raise Refused(f"'{part.name}' as a date")
    (target,) = moments
    part.replace(_cast_to(part, target))


def _arithmetic(node: exp.Expr) -> exp.Expr:
    parts = [node.this] if isinstance(node, exp.Neg) else [node.left, node.right]
    if not {family(part) for part in parts} <= _NUMBERS:
        raise Refused(f"arithmetic with {node.sql('spark')[:60]}")
    return node


def _division(node: exp.Expr) -> exp.Expr:
    """Spark refuses to divide by zero; DuckDB answers null. It is left to Spark to refuse."""
    _arithmetic(node)
    below = node.right
    is_safe = isinstance(below, exp.Nullif) or (below.is_int and int(below.name) != 0)
    divisor = below.copy() if is_safe else _guarded(below.copy())
    left = _cast_to(node.left, "double")
    return exp.Div(this=left, expression=divisor, typed=False, safe=False)


def _guarded(below: exp.Expr) -> exp.Expr:
    zero = exp.EQ(this=exp.paren(below), expression=exp.Literal.number(0))
    stop = exp.Anonymous(this="error", expressions=[exp.Literal.string("division by zero")])
    case = exp.Case().when(zero, stop).else_(exp.paren(below.copy()))
    return exp.paren(case)


def _aggregate(node: exp.Expr) -> exp.Expr:
    parts = node.this.expressions if isinstance(node.this, exp.Distinct) else [node.this]
    if node.expressions or len(parts) != 1:
        raise Refused("an aggregate of several columns")
    of = parts[0]
    if isinstance(node, exp.Count):
        return node
    if isinstance(node, exp.Sum | exp.Avg) and family(of) != "integer":
        raise Refused(f"the sum of {family(of)} depends on the order of rows")
    family(of)
    if isinstance(node.parent, exp.Window):
        return node
    if isinstance(node, exp.Sum):
        # DuckDB's sum is wider than Spark's, which fails beyond 64 bits: so does the cast.
        return _cast_to(node, "bigint")
    if isinstance(node, exp.Avg):  # as Spark does it: the sum as a double, over the count
        total = _cast_to(exp.Sum(this=node.this.copy()), "double")
        count = exp.Count(this=node.this.copy())
        none = exp.Nullif(this=count, expression=exp.Literal.number(0))
        return exp.paren(exp.Div(this=total, expression=none, typed=False, safe=False))
    return node


def _window(node: exp.Expr) -> exp.Expr:
    is_rank, is_aggregate = isinstance(node.this, _RANKS), isinstance(node.this, _AGGREGATES)
    if node.args.get("spec") or not (is_rank or is_aggregate) or isinstance(node.this, exp.Avg):
        raise Refused(f"such a window: {node.sql('spark')[:60]}")
    if is_rank and not node.args.get("order"):
        raise Refused("ranks without an order")
    return _cast_to(node, "bigint") if isinstance(node.this, exp.Sum) else node


def _cast(node: exp.Expr) -> exp.Expr:
    """Casts that neither round nor fail, and dates and instants plainly written."""
    said = node.args["to"].sql("spark").lower()
    source, target = family(node.this), FAMILIES.get(said, "another type")
    if source == target == "integer":
        given = node.this.type.sql("spark").lower()
        is_safe = INTEGERS[given] <= INTEGERS[said]
    elif isinstance(node.this, exp.Literal) and source == "text":
        pattern = {"date": _DATE, "timestamp": _MOMENT}.get(target)
        is_safe = bool(pattern and pattern.fullmatch(node.this.name))
    else:
        is_safe = source == target or (source, target) in _SAFE_CASTS
    if not is_safe:
        raise Refused(f"a cast from {source} to {target}")
    return _cast_to(node.this, said if target == "integer" else target)


def _cast_to(node: exp.Expr, target: str) -> exp.Expr:
    made = exp.Cast(this=node.copy(), to=exp.DataType.build(target))
    made.type = exp.DataType.build(target)
    return made


def _truncation(node: exp.Expr) -> exp.Expr:
    if str(node.args["unit"].name).upper() not in _UNITS or family(node.this) not in ("date", "timestamp"):
        raise Refused("such a truncation")
    unit = exp.Literal.string(node.args["unit"].name.lower())
    moment = _cast_to(node.this, "timestamp")
    return _cast_to(exp.Anonymous(this="date_trunc", expressions=[unit, moment]), "timestamp")


def _like(node: exp.Expr) -> exp.Expr:
    if not node.expression.is_string or "\\" in node.expression.name or family(node.this) != "text":
        raise Refused("LIKE with a pattern that is not plain text")
    return node


def _select(node: exp.Expr) -> exp.Expr:
    beyond = {key for key, value in node.args.items() if value} - _CLAUSES
    if beyond or (node.args.get("distinct") and node.args["distinct"].args.get("on")):
        raise Refused(f"SELECT with {', '.join(sorted(beyond)) or 'DISTINCT ON'}")
    return node


def _join(node: exp.Expr) -> exp.Expr:
    how = {str(node.args.get(key) or "") for key in ("side", "kind", "method")} - {""}
    if not how <= {"LEFT", "RIGHT", "FULL", "INNER", "OUTER", "CROSS"} or node.args.get("using"):
        raise Refused(f"a join that is {' '.join(sorted(how))}")
    return node


def _group(node: exp.Expr) -> exp.Expr:
    if {key for key, value in node.args.items() if value} - {"expressions", "all"}:
        raise Refused("grouping sets")
    if any(isinstance(one, exp.Literal) for one in node.expressions):
        raise Refused("grouping by position")
    return node


def _ordered(node: exp.Expr) -> exp.Expr:
    if isinstance(node.this, exp.Literal):
        raise Refused("ordering by position")
    return node


def _union(node: exp.Expr) -> exp.Expr:
    if node.args.get("by_name") or type(node) is not exp.Union:
        raise Refused("such a set operation")
    for left, right in zip(node.left.selects, node.right.selects, strict=True):
        if family(left.unalias()) != family(right.unalias()):
            raise Refused("a union of different types")
    return node


def _same_family(node: exp.Expr) -> exp.Expr:
    branches = [node.this, *node.expressions]
    if isinstance(node, exp.Case):
        branches = [branch.args["true"] for branch in node.args["ifs"]] + [node.args.get("default")]
        if node.this:
            raise Refused("CASE with a value")
    elif isinstance(node, exp.If):
        branches = [node.args["true"], node.args.get("false")]
    kinds = {family(branch) for branch in branches if branch} - {"null"}
    if len(kinds) > 1:
        raise Refused("branches of different types")
    return node


_RULES: tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], Callable[[exp.Expr], exp.Expr]], ...] = (
    (exp.Column, _column),
    (exp.Table, _table),
    (exp.Literal, _literal),
    ((exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Nullif), _comparison),
    (exp.Div, _division),
    ((exp.Add, exp.Sub, exp.Mul, exp.Neg), _arithmetic),
    (_AGGREGATES, _aggregate),
    (exp.Window, _window),
    ((exp.Cast, exp.TryCast), _cast),
    ((exp.TimestampTrunc, exp.DateTrunc), _truncation),
    (exp.Like, _like),
    (exp.Is, lambda node: node),
    (exp.Join, _join),
    (exp.Group, _group),
    (exp.Ordered, _ordered),
    (exp.Select, _select),
    (exp.SetOperation, _union),
    ((exp.Case, exp.Coalesce, exp.If), _same_family),
)  # fmt: skip
