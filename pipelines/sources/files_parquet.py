"""Parquet files into events: one JSON object per row, with the columns that this file has."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import SourceError
from pipelines.sources.files_csv import BATCH_ROWS, Event, to_batches


def parquet_events(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Events of whole files, in the order of their rows.

    Args:
        batches: `source`, `payload` (a file) and `produced_at`.

    Raises:
        SourceError: a file is not Parquet, or is damaged; it names the file.
    """
    files = (
        file
        for batch in batches
        for file in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    return to_batches(event for file in files for event in _file(*file))


def _file(file: str, content: bytes, produced_at: datetime) -> Iterator[Event]:
    if not content:
        return
    number = 0
    try:
        for batch in pq.ParquetFile(pa.BufferReader(content)).iter_batches(BATCH_ROWS):
            for row in batch.to_pylist(maps_as_pydicts="strict"):
                yield file, 0, number, _json(row), produced_at
                number += 1
    except (pa.ArrowException, OSError) as error:
        raise SourceError(
            f"{file} is damaged or not a Parquet file ({str(error).splitlines()[0][:100]}); put a "
            "good file in its place, or an empty one to go on without it, and run again; nothing "
            "was lost"
        ) from None


def _json(row: dict[str, Any]) -> bytes:
    given = {name: value for name, value in row.items() if value is not None}
    return json.dumps(given, ensure_ascii=False, default=_plain).encode()


def _plain(value: Any) -> Any:
    """What JSON has no type for: times in ISO 8601 and UTC, decimals and the rest as text."""
    if isinstance(value, datetime):
        utc = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return utc.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, Decimal) else repr(value)
