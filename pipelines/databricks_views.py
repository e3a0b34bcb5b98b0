"""The gold views as materialized views of a Databricks pipeline, written from the same files."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType
from sqlglot import exp

from pipelines.errors import ViewError
from pipelines.io.read import schema_of
from pipelines.registry import TABLES, check, views_in_order
from pipelines.view import View, parse_select, table_name

# Where conf/pipelines/gold.yml looks for them; made at every deployment, never committed.
PIPELINE_DIR = Path(__file__).resolve().parent.parent / "build" / "gold"


def write_pipeline(spark: SparkSession, folder: Path = PIPELINE_DIR) -> list[Path]:
    """Write one `CREATE MATERIALIZED VIEW` per gold view; what else lies in the folder is removed.

    Raises:
        RegistryError, ViewError: a view does not fit its sources; then nothing is written.
    """
    check()
    schemas = view_schemas(spark)
    texts = {
        folder / f"{view.path.stem}.sql": statement(view, schemas[view.name])
        for view in views_in_order()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for stale in set(folder.glob("*.sql")) - set(texts):
        stale.unlink()
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return list(texts)


def view_schemas(spark: SparkSession) -> dict[str, StructType]:
    """Columns and types of every view, as Spark derives them from the declared tables."""
    names = {table.name: _stand_in(table.name) for table in TABLES}
    for table in TABLES:
        empty = spark.createDataFrame([], schema_of(table))
        empty.createOrReplaceTempView(names[table.name])
    schemas = {}
    for view in views_in_order():
        rows = spark.sql(_renamed(view, names))
        names[view.name] = _stand_in(view.name)
        rows.createOrReplaceTempView(names[view.name])
        schemas[view.name] = rows.schema
    for name in names.values():
        spark.catalog.dropTempView(name)
    return schemas


def statement(view: View, schema: StructType) -> str:
    """The view's own text as a pipeline's statement.

    The tables are read by their paths; views are found in the pipeline itself. Databricks keeps a
    column's comment only beside the column's type.
    """
    comments = dict(view.column_comments)
    if list(comments) != schema.names:
        raise ViewError(f"{view.path}: returns {schema.names}, its comments are for {[*comments]}")
    types = {field.name: field.dataType.simpleString().upper() for field in schema}
    columns = ",\n".join(f"  {c} {types[c]} COMMENT {_text(said)}" for c, said in comments.items())
    sources = {name: _on_databricks(name) for name in view.inputs}
    lines = _renamed(view, sources).splitlines()
    while lines[0].startswith("--"):
        lines.pop(0)
    query = "\n".join(lines)
    return (
        f"-- Written by `lakehouse bundle` from {view.path.name}.\n"
        f"CREATE OR REFRESH MATERIALIZED VIEW {view.path.stem} (\n{columns}\n)\n"
        f"CLUSTER BY ({', '.join(view.cluster_by)})\n"
        f"COMMENT {_text(view.comment)}\n"
        f"AS\n{query}\n"
    )


def _stand_in(name: str) -> str:
    return f"declared__{name.replace('.', '__')}"


def _on_databricks(name: str) -> str:
    layer, noun = name.split(".")
    is_view = any(view.name == name for view in views_in_order())
    return noun if is_view else f"delta.`${{lakehouse.root}}/{layer}/{noun}`"


def _renamed(view: View, names: Mapping[str, str]) -> str:
    """The view's text with its sources under other names; all else stays as it is written."""
    text = view.sql
    for start, end, name, alias in sorted(_places(view), reverse=True):
        text = f"{text[:start]}{names[name]}{alias}{text[end:]}"
    return text


def _places(view: View) -> Iterator[tuple[int, int, str, str]]:
    """Where the view's text names a source: start, end, name, the alias that it then needs."""
    for table in parse_select(view.sql, str(view.path)).find_all(exp.Table):
        if table_name(table) in view.inputs:
            start, end = table.parts[0].meta["start"], table.parts[-1].meta["end"] + 1
            yield start, end, table_name(table), "" if table.alias else f" AS {table.name}"


def _text(value: str) -> str:
    return exp.Literal.string(value).sql(dialect="databricks")
