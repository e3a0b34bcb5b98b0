"""Lives of views: random changes to small tables, and views of random SQL refreshed in between.

After each refresh a view is compared, as a multiset of rows, with Spark's recomputation from the
versions that it says it shows, and with DuckDB's answer to the same SQL on the same rows.
"""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlglot
from pyspark.sql import DataFrame, SparkSession

from pipelines.io.lake import open_lake, table_path
from pipelines.io.layout import layout_session
from pipelines.io.quick import connect
from pipelines.io.read import read
from pipelines.io.write import PROPERTIES
from pipelines.settings import Settings
from pipelines.view import View, load_view, parse_select, table_names
from pipelines.views.recompute import recompute
from pipelines.views.record import shown
from pipelines.views.refresh import refresh

TABLES = {
    "t.sales": "id BIGINT NOT NULL, item INT, store STRING, at TIMESTAMP, quantity INT NOT NULL, "
    "price BIGINT, amount DECIMAL(9, 2)",
    "t.items": "item INT, category STRING, weight BIGINT NOT NULL",
    "t.returns": "item INT, store STRING, at TIMESTAMP, quantity BIGINT",
}
# Where Spark's SQL and DuckDB's differ: Spark's -> DuckDB's.
_IN_DUCKDB = {
    "WINDOW(at, '2 hours').start": "TIME_BUCKET(INTERVAL '2 hours', at)",
    "COUNT_IF(s.price > 2)": "COUNT(CASE WHEN s.price > 2 THEN 1 END)",
}
_NOT_IN_DUCKDB = ("WINDOW(at, '2 hours', '1 hour')", "EXPLODE(")


@dataclass(frozen=True)
class Killed(BaseException):
    """Stands for the death of the process."""


def make_tables(spark: SparkSession, settings: Settings) -> None:
    """The empty tables, once; `copy_lake` copies them."""
    properties = ", ".join(f"'{key}' = '{value}'" for key, value in PROPERTIES.items())
    for name, columns in TABLES.items():
        spark.sql(
            f"CREATE TABLE delta.`{table_path(settings, name)}` ({columns}) USING delta "
            f"TBLPROPERTIES ({properties})"
        )


def copy_lake(settings: Settings, root: Path) -> Settings:
    """A lake of its own with the same tables."""
    shutil.copytree(settings.root, root)
    copied = settings.model_copy(update={"root": str(root)})
    open_lake(copied, create=True)
    return copied


def view_of(folder: Path, name: str, sql: str) -> View:
    """A view of the given SQL; all of its columns are its key, and commented."""
    file = folder / f"{name}.sql"
    select = parse_select(sql, name)
    columns = ", ".join(select.named_selects)
    commented = select.copy()
    for column in commented.selects:
        column.comments = ["it"]
    text = commented.sql(dialect="spark", pretty=True, comments=True)
    header = f"-- Proof.\n-- key: {columns}\n-- cluster by: {select.named_selects[0]}\n"
    file.write_text(f"{header}{text}\n")
    return load_view(file)


@dataclass
class History:
    """One lake, its views, and what has happened so far; `log` replays it by eye."""

    spark: SparkSession
    settings: Settings
    views: list[View]

    def __post_init__(self) -> None:
        self.log: list[str] = []

    def change(self, statement: str) -> None:
        """Run one statement; tables stand in it by name."""
        self.log.append(statement)
        for name in TABLES:
            statement = statement.replace(name, f"delta.`{table_path(self.settings, name)}`")
        spark = self.spark
        if statement.startswith("VACUUM"):
            spark = layout_session(spark, self.settings, 0)
            spark.conf.set("spark.databricks.delta.retentionDurationCheck.enabled", "false")
        spark.sql(statement).collect()

    def refresh(self, names: Sequence[str] = ()) -> dict[str, tuple[str, str]]:
        """Refresh some views; their strategies and reasons."""
        self.log.append(f"refresh {', '.join(names)}")
        done = refresh(self.spark, self.settings, names, views=self.views)
        how = {r.view: (r.strategy, r.reason) for r in done}
        self.log.append(str(how))
        return how

    def compare(self, names: Sequence[str] = ()) -> None:
        """Each view against Spark's recomputation and against DuckDB.

        Raises:
            AssertionError: they differ; names the view, the rows and the history.
        """
        chosen = [view for view in self.views if not names or view.name in names]
        for view in chosen:
            known = shown(self.spark, self.settings, view)
            assert known is not None, f"{view.name} does not say what it shows"
            stored = multiset(read(self.spark, self.settings, view.name))
            fresh = multiset(recompute(self.spark, self.settings, view, known.sources))
            assert known.rows == sum(stored.values()), f"{view.name} counts {known.rows} rows"
            self._same(view, stored, fresh, "Spark")
            if not any(text in view.sql for text in _NOT_IN_DUCKDB):
                self._same(view, stored, self._by_duckdb(view, known.sources), "DuckDB")

    def _by_duckdb(self, view: View, sources: dict[str, int]) -> Counter[tuple[Any, ...]]:
        connection = connect()
        for name in table_names(parse_select(view.sql, view.name)):
            rows = read(self.spark, self.settings, name, version=sources[name])
            arrived = rows.toArrow()  # noqa: F841 - DuckDB finds it by its name
            layer, noun = name.split(".")
            connection.sql(f"CREATE SCHEMA IF NOT EXISTS {layer}")
            connection.sql(f"CREATE TABLE {layer}.{noun} AS SELECT * FROM arrived")
        (text,) = sqlglot.transpile(view.sql, read="spark", write="spark", comments=False)
        for ours, theirs in _IN_DUCKDB.items():
            text = text.replace(ours, theirs)
        (text,) = sqlglot.transpile(text, read="spark", write="duckdb")
        found = connection.sql(text).fetchall()
        connection.close()
        return Counter(tuple(_plain(value) for value in row) for row in found)

    def _same(self, view: View, stored: Counter[Any], fresh: Counter[Any], other: str) -> None:
        missing, extra = fresh - stored, stored - fresh
        assert not missing and not extra, (
            f"{view.name} differs from {other}\n{view.sql}\nonly in {other}: {dict(missing)}\n"
            f"only in the view: {dict(extra)}\n" + "\n".join(self.log)
        )


def multiset(rows: DataFrame) -> Counter[tuple[Any, ...]]:
    """The rows of a frame, each with how often it stands in it."""
    return Counter(tuple(_plain(value) for value in row) for row in rows.collect())


def _plain(value: object) -> object:
    """One form of a value for all engines."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (float, int, Decimal)):
        number = float(value)
        return "nan" if math.isnan(number) else round(number, 6)
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    return value
