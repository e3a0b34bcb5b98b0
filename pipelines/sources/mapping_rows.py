"""Rows of a CSV, JSON Lines or Parquet file, as they are; text may be compressed with gzip."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import MappingError

PEEK_ROWS = 100  # of JSON Lines, to learn which keys there are
CSV_FIELD_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True)
class Row:
    """One row; `problem` says why a line is none, its text is in `values` then."""

    values: dict[str, Any]
    problem: str | None = None


def format_of(file: Path) -> str | None:
    """The format by the file's name, or None."""
    name = file.name.lower().removesuffix(".gz")
    endings = {
        "csv": "csv",
        "tsv": "csv",
        "jsonl": "jsonl",
        "ndjson": "jsonl",
        "parquet": "parquet",
    }
    return endings.get(name.rpartition(".")[2])


def open_rows(
    file: Path, form: str, *, encoding: str, delimiter: str
) -> tuple[list[str], Iterator[Row]]:
    """The column names and the rows. Of JSON Lines the names are those of the first rows.

    Raises:
        MappingError: absent, empty, unreadable, another encoding or not of this format; also
            while the rows are read.
    """
    if not file.is_file():
        raise MappingError(f"{file}: no such file; check the path")
    if not file.stat().st_size:
        raise MappingError(f"{file}: the file is empty; export it again")
    readers = {"csv": _csv_rows, "jsonl": _json_rows, "parquet": _parquet_rows}
    rows = readers[form](file, encoding, delimiter)
    first = next(rows, None)
    if first is None:
        raise MappingError(f"{file}: holds no rows; export it again")
    return list(first.values), rows


def _parquet_rows(file: Path, encoding: str, delimiter: str) -> Iterator[Row]:
    try:
        with pq.ParquetFile(file) as parquet:
            yield Row(dict.fromkeys(parquet.schema_arrow.names))
            for batch in parquet.iter_batches(batch_size=10_000):
                yield from (Row(values) for values in batch.to_pylist())
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise MappingError(f"{file}: not readable as Parquet: {reason}; export it again") from None


def _csv_rows(file: Path, encoding: str, delimiter: str) -> Iterator[Row]:
    with _text(file, encoding) as text:
        csv.field_size_limit(CSV_FIELD_LIMIT)
        reader = csv.reader(text, delimiter=delimiter)
        try:
            header = [name.strip() for name in next(reader, [])]
            if not any(header) or len(set(header)) != len(header):
                raise MappingError(
                    f"{file}:1: the first line must name every column once; add a header"
                )
            yield Row(dict.fromkeys(header))
            for cells in reader:
                if len(cells) == len(header):
                    yield Row(dict(zip(header, cells, strict=True)))
                elif cells:
                    problem = f"line {reader.line_num}: {len(cells)} fields, not {len(header)}"
                    yield Row({"fields": cells}, problem)
        except csv.Error as error:
            raise MappingError(
                f"{file}:{reader.line_num}: not readable as CSV: {error}; close the open quote"
            ) from None


def _json_rows(file: Path, encoding: str, delimiter: str) -> Iterator[Row]:
    with _text(file, encoding) as text:
        rows = (_json_row(line, at) for at, line in enumerate(text, start=1) if line.strip())
        ahead = [row for row, _ in zip(rows, range(PEEK_ROWS), strict=False)]
        if not ahead:
            return
        yield Row({name: None for row in ahead if not row.problem for name in row.values})
        yield from ahead
        yield from rows


def _json_row(line: str, at: int) -> Row:
    try:
        values = json.loads(line, parse_float=Decimal, parse_constant=str)
    except (ValueError, RecursionError, ArithmeticError):
        return Row({"text": line.rstrip("\n")}, f"line {at}: not JSON")
    if not isinstance(values, dict):
        return Row({"text": line.rstrip("\n")}, f"line {at}: not a JSON object")
    return Row(values)


@contextmanager
def _text(file: Path, encoding: str) -> Iterator[io.TextIOBase]:
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as raw:
            if encoding.lower().startswith("utf-8") and raw.read(2) in (b"\xff\xfe", b"\xfe\xff"):
                raise MappingError(f"{file}: is UTF-16; set 'encoding: utf-16' in the mapping")
            raw.seek(0)
            with io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
                yield text
    except UnicodeError:
        raise MappingError(
            f"{file}: not {encoding} text; set 'encoding:' in the mapping, e.g. cp1252"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise MappingError(f"{file}: not readable: {error}; check the file") from None
