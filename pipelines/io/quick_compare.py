"""Comparisons that Spark and DuckDB decide alike: of one type, or after a cast both would make."""

import re

from sqlglot import exp

from pipelines.io.quick_types import NUMBERS, Refused, cast_to, family

DATE = re.compile(r"\d{4}-\d\d-\d\d")
MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")


def comparison(node: exp.Expr) -> exp.Expr:
    """Both sides are of one family; a text beside a date or an instant is one, plainly written."""
    parts = _compared(node)
    kinds = {family(p) if not _is_decimal(p) else "double" for p in parts} - {"null"}
    if any(map(_is_decimal, parts)) and not kinds <= NUMBERS:
        raise Refused("a decimal number beside something else")
    if len(kinds) < 2 or kinds <= NUMBERS:
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
    return [node.this, node.args["expression"]]


def _is_decimal(node: exp.Expr) -> bool:
    inner = node.this if isinstance(node, exp.Neg) else node
    return isinstance(inner, exp.Literal) and inner.is_number and not inner.is_int


def _retype(part: exp.Expr, moments: set[str]) -> None:
    """Let a text literal be the date or instant that it is compared with."""
    if len(moments) != 1 or not isinstance(part, exp.Literal):
        raise Refused("a text beside a date")
    pattern = DATE if moments == {"date"} or DATE.fullmatch(part.name) else MOMENT
    if not pattern.fullmatch(part.name):
        raise Refused(f"'{part.name}' as a date")
    (target,) = moments
    part.replace(cast_to(part, target))
