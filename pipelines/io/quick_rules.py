"""Part by part, what of Spark SQL means the same in DuckDB, and how it is written there.

Each rule takes a part of a typed query, whose own parts are DuckDB's already, and returns what
stands for it, or refuses.
"""

from collections.abc import Callable

from sqlglot import exp

from pipelines.io.quick_compare import DATE, MOMENT, comparison
from pipelines.io.quick_times import PARTS, day_of, later, part, span, truncation
from pipelines.io.quick_types import FAMILIES, INTEGERS, NUMBERS, Refused, cast_to, family

AGGREGATES = (exp.Count, exp.CountIf, exp.Sum, exp.Avg, exp.Min, exp.Max)
_RANKS = (exp.RowNumber, exp.Rank, exp.DenseRank)
_PLAIN = (
    exp.From, exp.Where, exp.Having, exp.Order, exp.With, exp.CTE, exp.TableAlias,
    exp.Subquery, exp.Identifier, exp.Alias, exp.Boolean, exp.Null, exp.Paren, exp.And, exp.Or,
    exp.Not, exp.Coalesce, exp.Case, exp.If, exp.Distinct, exp.Star, exp.Limit, exp.Var,
    exp.DataType, *_RANKS,
)  # fmt: skip
_SAFE_CASTS = {("timestamp", "date"), ("date", "timestamp"), ("integer", "double")}

_CLAUSES = {
    "with", "with_", "expressions", "from", "from_", "joins", "where", "group", "having", "order",
    "limit", "distinct",
}  # fmt: skip


def agreeing(node: exp.Expr) -> exp.Expr:
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
    if (
        not node.args["is_string"]
        and not node.is_int
        and not isinstance(node.parent, exp.Predicate)
    ):
        raise Refused("a decimal number")
    if node.is_int and abs(int(node.name)) >= 2**63:
        raise Refused("a number beyond 64 bits")
    return node


def _arithmetic(node: exp.Expr) -> exp.Expr:
    if isinstance(node.args.get("expression"), exp.Interval):
        if isinstance(node, exp.Mul) or family(node.this) != "timestamp":
            raise Refused("a span of time beside something else than an instant")
        return node
    parts = [node.this] if isinstance(node, exp.Neg) else [node.this, node.args["expression"]]
    if not {family(part) for part in parts} <= NUMBERS:
        raise Refused(f"arithmetic with {node.sql('spark')[:60]}")
    return node


def _division(node: exp.Expr) -> exp.Expr:
    """Spark refuses to divide by zero; DuckDB answers null. It is left to Spark to refuse."""
    _arithmetic(node)
    below = node.args["expression"]
    is_safe = isinstance(below, exp.Nullif) or (below.is_int and int(below.name) != 0)
    divisor = below.copy() if is_safe else _guarded(below.copy())
    left = cast_to(node.this, "double")
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
    if isinstance(node, exp.Sum | exp.CountIf):
        # DuckDB's sum is wider than Spark's, which fails beyond 64 bits: so does the cast.
        return cast_to(node, "bigint")
    if isinstance(node, exp.Avg):  # as Spark does it: the sum as a double, over the count
        total = cast_to(exp.Sum(this=node.this.copy()), "double")
        count = exp.Count(this=node.this.copy())
        none = exp.Nullif(this=count, expression=exp.Literal.number(0))
        return exp.paren(exp.Div(this=total, expression=none, typed=False, safe=False))
    return node


def _window(node: exp.Expr) -> exp.Expr:
    is_rank, is_aggregate = isinstance(node.this, _RANKS), isinstance(node.this, AGGREGATES)
    if node.args.get("spec") or not (is_rank or is_aggregate) or isinstance(node.this, exp.Avg):
        raise Refused(f"such a window: {node.sql('spark')[:60]}")
    if is_rank and not node.args.get("order"):
        raise Refused("ranks without an order")
    return cast_to(node, "bigint") if isinstance(node.this, exp.Sum | exp.CountIf) else node


def _cast(node: exp.Expr) -> exp.Expr:
    """Casts that neither round nor fail, and dates and instants plainly written."""
    said = node.args["to"].sql("spark").lower()
    source, target = family(node.this), FAMILIES.get(said, "another type")
    if source == target == "integer":
        given = node.this.type.sql("spark").lower()
        is_safe = INTEGERS[given] <= INTEGERS[said]
    elif isinstance(node.this, exp.Literal) and source == "text":
        pattern = {"date": DATE, "timestamp": MOMENT}.get(target)
        is_safe = bool(pattern and pattern.fullmatch(node.this.name))
    else:
        is_safe = source == target or (source, target) in _SAFE_CASTS
    if not is_safe:
        raise Refused(f"a cast from {source} to {target}")
    return cast_to(node.this, said if target == "integer" else target)


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


_Rule = Callable[[exp.Expr], exp.Expr]
_COMPARISONS = (
    exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between, exp.Nullif,
)  # fmt: skip
_RULES: tuple[tuple[type[exp.Expr] | tuple[type[exp.Expr], ...], _Rule], ...] = (
    (exp.Column, _column),
    (exp.Table, _table),
    (exp.Literal, _literal),
    (_COMPARISONS, comparison),
    (exp.Div, _division),
    ((exp.Add, exp.Sub, exp.Mul, exp.Neg), _arithmetic),
    (AGGREGATES, _aggregate),
    (exp.Window, _window),
    ((exp.Cast, exp.TryCast), _cast),
    ((exp.TimestampTrunc, exp.DateTrunc), truncation),
    (exp.Like, _like),
    (exp.Interval, span),
    (exp.TsOrDsAdd, later),
    (exp.TsOrDsToDate, day_of),
    (PARTS, part),
    (exp.Is, lambda node: node),
    (exp.Join, _join),
    (exp.Group, _group),
    (exp.Ordered, _ordered),
    (exp.Select, _select),
    (exp.SetOperation, _union),
    ((exp.Case, exp.Coalesce, exp.If), _same_family),
)  # fmt: skip
