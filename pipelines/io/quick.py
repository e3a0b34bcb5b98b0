"""Answers without a JVM: delta-rs reads a table's log, DuckDB its Parquet files.

DuckDB's own Delta extension would have to be downloaded at run time; the log is read here instead,
and what a table asks of its readers is checked against what is done here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlglot import exp

from pipelines.io.lake import table_path
from pipelines.io.quick_sql import duckdb_sql
from pipelines.io.quick_types import FAMILIES, Refused
from pipelines.io.time_limit import stopped_after
from pipelines.settings import Settings

# Columns that a view keeps for its own refresh begin so; see `io.read`.
_HIDDEN = "__"
# What Delta may ask of a reader, and is done here or does not touch the columns that are read:
# those of type VARIANT are none of them.
_FEATURES = {"deletionVectors", "variantType", "variantType-preview", "vacuumProtocolCheck"}
_TYPES = {"long": "bigint", "integer": "int", "short": "smallint", "byte": "tinyint"}
_PLAIN = {
    pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.date32(),
    pa.timestamp("us"), pa.bool_(),
}  # fmt: skip


Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Snapshot:
    """A table at its newest version: what a query needs to read it.

    Attributes:
        columns: name -> Spark type, without hidden ones.
        hidden_rows: file -> positions of its rows that were deleted.
    """

    table_id: str
    version: int
    columns: Mapping[str, str]
    files: tuple[str, ...]
    hidden_rows: Mapping[str, Rows]


def snapshot(settings: Settings, name: str) -> Snapshot:
    """The newest version of a table.

    Raises:
        Refused: the table does not stand on a local disk, was never written to, or asks more of a
            reader than is done here.
    """
    path = table_path(settings, name)
    # delta-rs takes `%20` in a path for a space, and so might open another table.
    if "://" in path or "%" in path or not Path(path, "_delta_log").is_dir():
        raise Refused(f"{name} is not a table on this disk")
    try:
        table = DeltaTable(path)
    except DeltaError as error:
        raise Refused(f"{name}: {str(error).splitlines()[0]}") from None
    metadata, protocol = table.metadata(), table.protocol()
    features = set(protocol.reader_features or ())
    if features - _FEATURES or protocol.min_reader_version == 2 or metadata.partition_columns:
        raise Refused(f"{name} needs {', '.join(sorted(features - _FEATURES)) or 'more'}")
    columns = {
        field.name: _TYPES.get(type_name, type_name)
        for field in table.schema().fields
        if not field.name.startswith(_HIDDEN)
        for type_name in [str(getattr(field.type, "type", field.type))]
    }
    hidden: dict[str, Rows] = {}
    if "deletionVectors" in features:
        for batch in map(pa.record_batch, table.deletion_vectors()):
            for file, standing in zip(batch["filepath"], batch["selection_vector"], strict=True):
                mask = standing.values.to_numpy(zero_copy_only=False)
                hidden[_local(path, file.as_py())] = np.flatnonzero(~mask)
    files = tuple(_local(path, uri) for uri in table.file_uris())
    return Snapshot(str(metadata.id), table.version(), columns, files, hidden)


def quick(
    select: exp.Query, tables: Mapping[str, Snapshot], limit: int, timeout_s: float
) -> pa.Table:
    """The first rows of a query; instants are UTC without a zone.

    Raises:
        Refused: DuckDB might not answer as Spark does, or fails; Spark then says what is wrong.
        QueryTimeoutError: it took longer than `timeout_s`.
    """
    asked = select.args["limit"].expression if select.args.get("limit") else None
    if asked is not None and not asked.is_int:
        raise Refused("a LIMIT that is not a number")
    select = select.limit(limit if asked is None else min(limit, int(asked.name)))
    sql = duckdb_sql(select, {name: table.columns for name, table in tables.items()})
    with connect() as connection:
        try:
            for name, table in tables.items():
                bind(connection, name, table)
            _shut(connection, tables)
            with stopped_after(timeout_s, connection.interrupt):
                answer = connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise Refused(f"DuckDB: {str(error).splitlines()[0]}") from None
    return _plain(answer)


def connect(**config: str | int) -> duckdb.DuckDBPyConnection:
    """A DuckDB of its own that gives instants as Spark does, and the right rows.

    By its statistics, DuckDB 2.0.0 takes the sums over a LEFT JOIN with no match for no more than
    one row's values, and drops every group of `HAVING SUM(quantity) > 3` where none holds as much.
    """
    connection = duckdb.connect(config={**config, "disabled_optimizers": "statistics_propagation"})
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _shut(connection: duckdb.DuckDBPyConnection, tables: Mapping[str, Snapshot]) -> None:
    """Leave a connection nothing to open but the tables' own files."""
    files = [file for table in tables.values() for file in (*table.files, *table.hidden_rows)]
    connection.execute("SET allowed_paths = $files", {"files": files})
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def bind(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    table: Snapshot,
    further: Mapping[str, str] | None = None,
) -> None:
    """Show the table's rows under its name.

    Args:
        further: of columns whose types Spark and DuckDB do not have alike, what to read them as;
            the other such columns are not shown.
    """
    layer, noun = name.split(".")
    kinds = {column: kind for column, kind in table.columns.items() if kind in FAMILIES}
    kinds |= further or {}
    shown = ", ".join(f'CAST("{column}" AS {kind}) AS "{column}"' for column, kind in kinds.items())
    whole = [file for file in table.files if file not in table.hidden_rows]
    parts = [f"SELECT {shown} FROM {_parquet(whole)}"] if whole else []  # noqa: S608
    if table.hidden_rows:
        gone = f"{layer}__{noun}__gone"
        connection.register(gone, _gone(table.hidden_rows))
        rest = _parquet([*table.hidden_rows], "filename = true, file_row_number = true")
        parts.append(
            f"SELECT {shown} FROM {rest} AS f "  # noqa: S608
            f"ANTI JOIN {gone} AS g ON f.filename = g.file AND f.file_row_number = g.row"
        )
    if not parts:
        nothing = (f'NULL::{kind} AS "{column}"' for column, kind in kinds.items())
        parts = [f"SELECT {', '.join(nothing)} WHERE false"]
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
    connection.execute(f'CREATE VIEW "{layer}"."{noun}" AS {" UNION ALL ".join(parts)}')


def _parquet(files: list[str], *options: str) -> str:
    """Files of a table; one that was written before a column came has null in it."""
    names = ", ".join(exp.Literal.string(file).sql(dialect="duckdb") for file in files)
    return f"read_parquet([{names}], {', '.join((*options, 'union_by_name = true'))})"


def _gone(hidden_rows: Mapping[str, Rows]) -> pa.Table:
    counts = [len(rows) for rows in hidden_rows.values()]
    files = np.repeat(np.array([*hidden_rows], dtype=object), counts)
    numbers = np.concatenate([*hidden_rows.values()])
    return pa.table({"file": pa.array(files, pa.string()), "row": pa.array(numbers, pa.int64())})


def _local(path: str, uri: str) -> str:
    """A file of a table without partitions; delta-rs escapes the folders before it, or does not."""
    return f"{path}/{uri.rsplit('/', 1)[1]}"


def _plain(answer: pa.Table) -> pa.Table:
    """The answer, if all of it is of types that Spark would have given it too."""
    for place, field in enumerate(answer.schema):
        kind = pa.timestamp("us") if pa.types.is_timestamp(field.type) else field.type
        if kind not in _PLAIN:
            raise Refused(f"{field.name} is of the type {kind}")
        if kind != field.type:
            answer = answer.set_column(place, field.name, answer[place].cast(kind))
    return answer
