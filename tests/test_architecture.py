"""What the layers may not do, and which way imports go."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

ROOT = Path(__file__).resolve().parent.parent
LAYERS = ("bronze", "silver", "gold")
MODULES = sorted(file for layer in LAYERS for file in (ROOT / "pipelines" / layer).glob("*.py"))

# A layer module turns frames into frames; nothing else is within its reach.
ALLOWED_IMPORTS = ("collections.abc", "dataclasses", "functools", "pipelines", "pyspark.sql")
STORAGE = {"read", "readStream", "table", "write", "writeStream", "writeTo"}
ACTIONS = {
    "checkpoint", "collect", "count", "first", "foreach", "foreachBatch", "foreachPartition",
    "head", "isEmpty", "localCheckpoint", "show", "tail", "take", "toArrow", "toLocalIterator",
    "toPandas",
}  # fmt: skip
SESSION = {"SparkSession", "builder", "conf", "getActiveSession", "sparkSession", "sql"}
PYTHON_ROWS = {
    "applyInPandas", "mapInArrow", "mapInPandas", "pandas_udf", "rdd", "udf", "udtf",
}  # fmt: skip
CLOCK = {
    "current_date", "current_timestamp", "curdate", "localtimestamp", "now", "rand", "randn",
    "today", "unix_timestamp", "uuid",
}  # fmt: skip


def offences(source: str) -> list[str]:
    """What a layer module does that it may not do (rule 3), one entry each."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names if not _allowed(name.name)]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            found += [] if _allowed(node.module or "") else [str(node.module)]
            found += [name for name in names if name in SESSION | PYTHON_ROWS]
        elif isinstance(node, ast.Attribute):
            found += [node.attr] if _forbidden(node) else []
        elif isinstance(node, ast.Name) and node.id == "open":
            found.append("open")
    return found


def _allowed(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in ALLOWED_IMPORTS)


def _forbidden(node: ast.Attribute) -> bool:
    on_functions = isinstance(node.value, ast.Name) and node.value.id == "F"
    if on_functions:  # F.first and F.count are columns
        return node.attr in PYTHON_ROWS | CLOCK
    counts_groups = (
        node.attr == "count"
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and node.value.func.attr == "groupBy"
    )
    return not counts_groups and node.attr in STORAGE | ACTIONS | SESSION | PYTHON_ROWS | CLOCK


@pytest.mark.parametrize("module", MODULES, ids=lambda file: f"{file.parent.name}.{file.stem}")
def test_layer_modules_hold_no_io_no_action_no_session_and_no_clock(module: Path) -> None:
    assert offences(module.read_text()) == []


@pytest.mark.parametrize(
    ("line", "offence"),
    [
        ("spark.read.parquet('x')", "read"),
        ("rows.write.save()", "write"),
        ("rows.writeStream.start()", "writeStream"),
        ("rows.collect()", "collect"),
        ("rows.where('a').count()", "count"),
        ("rows.toPandas()", "toPandas"),
        ("rows.first()", "first"),
        ("spark.conf.set('a', 'b')", "conf"),
        ("from pyspark.sql import SparkSession", "SparkSession"),
        ("rows.sparkSession.range(3)", "sparkSession"),
        ("from pyspark.sql.functions import udf", "udf"),
        ("F.udf(str)", "udf"),
        ("F.current_timestamp()", "current_timestamp"),
        ("from datetime import datetime", "datetime"),
        ("import time", "time"),
        ("open('x')", "open"),
    ],
)
def test_each_kind_of_offence_is_seen(line: str, offence: str) -> None:
    assert offence in offences(line)


def test_columns_named_like_actions_are_no_offence() -> None:
    assert offences("rows.groupBy('a').count().select(F.first('b'), F.count('*'))") == []


@pytest.mark.parametrize(
    "file", sorted((ROOT / "pipelines" / "gold").glob("*.sql")), ids=lambda file: file.stem
)
def test_views_give_the_same_rows_whenever_they_run(file: Path) -> None:
    unstable = (exp.CurrentDate, exp.CurrentTimestamp, exp.CurrentTime, exp.Rand, exp.Uuid)
    select = sqlglot.parse_one(file.read_text(), read="spark")
    assert [node.sql() for node in select.find_all(*unstable)] == []
    called = {str(node.this).lower() for node in select.find_all(exp.Anonymous)}
    assert not called & CLOCK


def test_imports_go_one_way() -> None:
    """In a process of its own: the linter switches off every logger that there is."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_module_has_its_place_in_the_layers() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (layers,) = (c["layers"] for c in config["contracts"] if c["type"] == "layers")
    placed = {name.strip() for layer in layers for name in layer.replace("|", ":").split(":")}
    modules = {
        f"pipelines.{child.stem}"
        for child in (ROOT / "pipelines").iterdir()
        if child.suffix == ".py" or (child / "__init__.py").exists()
    } - {"pipelines.__init__"}
    assert placed == modules | {"ml", "serving", "workflows"}
