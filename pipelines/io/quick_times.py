"""Dates and instants: what Spark and DuckDB make of them alike, all of it in UTC."""

from sqlglot import exp

from pipelines.io.quick_types import Refused, cast_to, family

PARTS = (exp.Hour, exp.Day, exp.DayOfMonth, exp.Month, exp.Year)
_SPANS = {"SECOND", "MINUTE", "HOUR", "DAY", "WEEK"}  # longer ones have no fixed length
_UNITS = {"HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}


def truncation(node: exp.Expr) -> exp.Expr:
    if str(node.args["unit"].name).upper() not in _UNITS or family(node.this) not in (
        "date",
        "timestamp",
    ):
        raise Refused("such a truncation")
    unit = exp.Literal.string(node.args["unit"].name.lower())
    moment = cast_to(node.this, "timestamp")
    return cast_to(exp.Anonymous(this="date_trunc", expressions=[unit, moment]), "timestamp")


def span(node: exp.Expr) -> exp.Expr:
    count, unit = node.this, str(node.args["unit"].name).upper() if node.args.get("unit") else ""
    if (
        unit.rstrip("S") not in _SPANS
        or not isinstance(count, exp.Literal)
        or not count.name.isdigit()
    ):
        raise Refused(f"the span of time {node.sql('spark')}")
    return node


def later(node: exp.Expr) -> exp.Expr:
    """A date some days later."""
    unit = str(node.args["unit"].name).upper() if node.args.get("unit") else "DAY"
    if unit != "DAY" or family(node.this) != "date" or family(node.expression) != "integer":
        raise Refused("such a later date")
    days = cast_to(exp.paren(node.expression.copy()), "int")
    return cast_to(exp.Add(this=exp.paren(node.this.copy()), expression=days), "date")


def day_of(node: exp.Expr) -> exp.Expr:
    if node.args.get("format") or family(node.this) not in ("date", "timestamp"):
        raise Refused("a date read from such a value")
    return cast_to(node.this, "date")


def part(node: exp.Expr) -> exp.Expr:
    allowed = {"timestamp"} if isinstance(node, exp.Hour) else {"timestamp", "date"}
    if family(node.this) not in allowed:
        raise Refused(f"{type(node).__name__} of such a value")
    return cast_to(node, "int")
