"""The types that Spark and DuckDB have alike."""

from sqlglot import exp


class Refused(Exception):
    """DuckDB might not answer as Spark does; the text says why."""


# Spark's types that both engines have alike, by family.
INTEGERS = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
FAMILIES = dict.fromkeys(INTEGERS, "integer") | {
    "double": "double", "string": "text", "text": "text", "varchar": "text", "date": "date",
    "timestamp": "timestamp", "timestamptz": "timestamp", "boolean": "boolean", "null": "null",
}  # fmt: skip
NUMBERS = {"integer", "double", "null"}


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


def cast_to(node: exp.Expr, target: str) -> exp.Expr:
    """A part of a query, cast; the cast knows its type as parsed parts do."""
    made = exp.Cast(this=node.copy(), to=exp.DataType.build(target))
    made.type = exp.DataType.build(target)
    return made
