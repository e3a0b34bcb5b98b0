"""Run a file of SQL statements in the task's Spark session: a `sql_task` with a file."""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflows.context import set_value
from workflows.facts import OUTPUT

MARKER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")
BRACES = re.compile(r"\{\{\s*(\w+)\s*\}\}")
ROWS_KEPT = 100  # as many as `{{tasks.x.output.rows}}` may hold


def statements(text: str) -> list[str]:
    """The statements of a text, parted by semicolons that stand outside of quotes and comments."""
    if ";" not in text:
        return [text] if text.strip() else []
    import sqlglot

    cuts = [
        t.start
        for t in sqlglot.tokenize(text, "databricks")
        if t.token_type is sqlglot.TokenType.SEMICOLON
    ]
    starts = [0, *(cut + 1 for cut in cuts)]
    parts = [text[a:b].strip() for a, b in zip(starts, [*cuts, len(text)], strict=True)]
    return [part for part in parts if sqlglot.tokenize(part, "databricks")]


def run_statement(spark: Any, statement: str, parameters: Mapping[str, str]) -> Any:
    """The result of a statement, `:name` and `{{name}}` standing for parameters."""
    text = BRACES.sub(lambda found: parameters.get(found[1], found[0]), statement)
    used = {name: parameters[name] for name in MARKER.findall(text) if name in parameters}
    return spark.sql(text, args=used) if used else spark.sql(text)


def main() -> None:
    """Run the file that the arguments name, print the last result, and keep it for other tasks."""
    from workflows.spark import session

    parser = argparse.ArgumentParser(prog="sql")
    parser.add_argument("file", type=Path)
    parser.add_argument("--parameters", default="{}")
    options = parser.parse_args()
    spark, result = session(), None
    for statement in statements(options.file.read_text(encoding="utf-8")):
        result = run_statement(spark, statement, json.loads(options.parameters))
    if result is not None and result.columns:
        rows = [row.asDict(recursive=True) for row in result.limit(ROWS_KEPT).collect()]
        set_value(OUTPUT, json.loads(json.dumps(rows, default=str)))  # dates and decimals as text
        result.show(ROWS_KEPT, truncate=False)
