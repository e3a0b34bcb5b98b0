"""Answers to questions in SQL, as cheaply as can be: from the cache, from DuckDB, else from Spark.

An answer is kept under the text of its question and the versions of the tables that it was read
from, so it is never stale, and a table that has not changed costs nothing.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from sqlglot import exp

from pipelines.errors import QueryError
from pipelines.io.lake import open_lake
from pipelines.io.quick import Snapshot, quick, snapshot
from pipelines.io.quick_types import Refused
from pipelines.io.select import parse_query
from pipelines.io.time_limit import spark_stopped_after
from pipelines.settings import Settings
from pipelines.view import table_names, unstable

_FOLDER = "answers"
_MAX_FILES = 500
_MAX_BYTES = 4 << 20  # of one answer; larger ones are not kept
_FORMAT = 1  # part of every key: raise it when a question may get another answer


@dataclass(frozen=True)
class Answer:
    """Rows as the command line shows them; instants are UTC without a zone.

    Attributes:
        engine: `cache`, `duckdb` or `spark`.
        reason: why DuckDB was not asked; empty unless `engine` is `spark`.
    """

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    engine: str
    reason: str = ""


def answer(
    settings: Settings, sql: str, *, limit: int, spark: Callable[[], SparkSession]
) -> Answer:
    """The first `limit` rows of one SELECT over the lake's tables.

    Args:
        spark: gives the session; called only if the question needs one.

    Raises:
        QueryError: it is not one SELECT, does more than read granted tables, names an unknown
            column, or `limit` is above what the settings allow.
        QueryTimeoutError: it took longer than they allow.
        LakeError: there is no lake, or a view that was never refreshed.
    """
    may = settings.query
    if limit > may.max_rows:
        raise QueryError(f"query: at most {may.max_rows:,} rows; or raise query.max_rows")
    select = parse_query(sql, may)
    state = open_lake(settings)
    try:
        tables = {name: snapshot(settings, name) for name in sorted(table_names(select))}
    except Refused as refused:
        return _of_spark(settings, sql, limit, spark(), str(refused))[0]
    kept = None if any(unstable(sql, select)) else _place(state, select, tables, limit)
    if kept and (found := _kept(kept)) is not None:
        return _of_table(found, "cache")
    try:
        made, table = _of_duckdb(settings, select, tables, limit)
    except Refused as refused:
        made, table = _of_spark(settings, sql, limit, spark(), str(refused))
        # What Spark read may be newer than what was looked at before it was asked.
        if kept and table is not None:
            now = {name: snapshot(settings, name) for name in tables}
            kept = kept if _versions(now) == _versions(tables) else None
    if kept and table is not None:
        _keep(kept, table)
    return made


def forget_answers(state: Path) -> int:
    """Delete every answer that is kept; returns how many there were."""
    files = list((state / _FOLDER).glob("*"))
    for file in files:
        file.unlink(missing_ok=True)
    return len(files)


def quickly(settings: Settings, sql: str, *, limit: int = 1_000_000) -> pa.Table:
    """The answer without Spark and without the cache.

    Raises:
        QueryError: it is not one SELECT, or does more than read granted tables.
        Refused: it is a question for Spark.
        QueryTimeoutError: it took longer than the settings allow.
    """
    select = parse_query(sql, settings.query)
    tables = {name: snapshot(settings, name) for name in table_names(select)}
    return quick(select, tables, limit, settings.query.timeout_s)


def _of_duckdb(
    settings: Settings, select: exp.Query, tables: Mapping[str, Snapshot], limit: int
) -> tuple[Answer, pa.Table]:
    table = quick(select, tables, limit, settings.query.timeout_s)
    return _of_table(table, "duckdb"), table


def _of_spark(
    settings: Settings, sql: str, limit: int, session: SparkSession, reason: str
) -> tuple[Answer, pa.Table | None]:
    """Spark's rows; as a table too if all columns are of plain types."""
    from pipelines.io.query import query

    rows = query(session, settings, sql).limit(limit)
    plain = {"string", "int", "bigint", "double", "boolean", "date", "timestamp"}
    with spark_stopped_after(settings.query.timeout_s, session):
        is_plain = {kind for _, kind in rows.dtypes} <= plain
        if not is_plain or len(set(rows.columns)) < len(rows.columns):
            found = [row.asDict(recursive=True) for row in rows.collect()]
            return Answer(tuple(rows.columns), found, "spark", reason), None
        table = rows.toArrow()
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, table[place].cast(pa.timestamp("us")))
    return Answer(tuple(table.column_names), table.to_pylist(), "spark", reason), table


def _of_table(table: pa.Table, engine: str) -> Answer:
    return Answer(tuple(table.column_names), table.to_pylist(), engine)


def _versions(tables: Mapping[str, Snapshot]) -> list[tuple[str, str, int]]:
    return [(name, table.table_id, table.version) for name, table in sorted(tables.items())]


def _place(state: Path, select: exp.Query, tables: Mapping[str, Snapshot], limit: int) -> Path:
    text = select.sql(dialect="spark", comments=False)
    key = repr((_FORMAT, text, limit, _versions(tables)))
    return state / _FOLDER / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.arrow"


def _kept(place: Path) -> pa.Table | None:
    """The answer that is kept there; what cannot be read is as good as none."""
    with contextlib.suppress(OSError, pa.ArrowException):
        with pa.OSFile(str(place)) as file:
            table = pa.ipc.open_file(file).read_all()
        now = time.time_ns()  # finer than the file system's own clock
        os.utime(place, ns=(now, now))
        return table
    return None


def _keep(place: Path, table: pa.Table) -> None:
    """Keep an answer if it is small; the ones that were not asked for longest make room.

    A lake that cannot be written to is still read.
    """
    if table.nbytes > _MAX_BYTES:
        return
    with contextlib.suppress(OSError):
        place.parent.mkdir(exist_ok=True)
        draft = place.with_suffix(f".{os.getpid()}.tmp")
        with pa.OSFile(str(draft), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        draft.replace(place)
        for old in list(_oldest_first(place.parent))[:-_MAX_FILES]:
            old.unlink(missing_ok=True)


def _oldest_first(folder: Path) -> Iterator[Path]:
    files = [(file.stat().st_mtime_ns, file) for file in folder.iterdir()]
    yield from (file for _, file in sorted(files))
