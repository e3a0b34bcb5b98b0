"""CSV lines into events: one JSON object per row, its keys the cells of the header."""

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice
from operator import itemgetter

import pyarrow as pa

from pipelines.errors import SourceError

REQUIRED = ("event_id", "event_type")
BATCH_ROWS = 10_000
_CELL_BYTES = 16 << 20

EVENTS = pa.schema(
    {
        "source": pa.string(),
        "source_partition": pa.int32(),
        "source_offset": pa.int64(),
        "payload": pa.binary(),
        "produced_at": pa.timestamp("us", tz="UTC"),
    }
)

Line = tuple[str, bytes, datetime]
Event = tuple[str, int, int, bytes, datetime]


def csv_events(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Events of the files whose lines are given, each file's from first to last.

    Args:
        batches: `source`, `payload` (a line without its end) and `produced_at`.

    Raises:
        SourceError: a header or a quote is broken; it names the file.
    """
    csv.field_size_limit(_CELL_BYTES)
    lines: Iterator[Line] = (
        line
        for batch in batches
        for line in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    events = (e for file, of_file in groupby(lines, itemgetter(0)) for e in _file(file, of_file))
    return to_batches(events)


def to_batches(events: Iterator[Event]) -> Iterator[pa.RecordBatch]:
    """Events as Arrow batches of the columns of bronze."""
    while rows := list(islice(events, BATCH_ROWS)):
        columns = zip(EVENTS, zip(*rows, strict=True), strict=True)
        arrays = [pa.array(column, field.type) for field, column in columns]
        yield pa.RecordBatch.from_arrays(arrays, schema=EVENTS)


def _file(file: str, lines: Iterable[Line]) -> Iterator[Event]:
    """A row that does not fit the header keeps its text, for silver to refuse with it."""
    taken: list[Line] = []
    rows = csv.reader(_texts(lines, taken), strict=True)
    header: list[str] = []
    number = 0
    try:
        for cells in rows:
            text = b"\n".join(line for _, line, _ in taken)
            produced_at = taken[-1][2]
            taken.clear()
            if not cells:
                continue
            if not header:
                header = _header(file, cells)
                continue
            payload = (_json(header, cells) if len(cells) == len(header) else None) or text
            yield file, 0, number, payload, produced_at
            number += 1
    except csv.Error as error:
        raise SourceError(
            f"{file}: line {rows.line_num}: {error}; mend its quotes, or put an empty file in its "
            "place to go on without it, and run again; nothing was lost"
        ) from None


def _texts(lines: Iterable[Line], taken: list[Line]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line[1].decode("utf-8", "surrogateescape") + "\n"


def _header(file: str, cells: list[str]) -> list[str]:
    header = [cells[0].removeprefix("\ufeff"), *cells[1:]]
    lacking = [name for name in REQUIRED if name not in header]
    if lacking or "" in header or len(set(header)) < len(header):
        wrong = f"lacks {', '.join(lacking)}" if lacking else "has an empty or a repeated name"
        raise SourceError(
            f"{file}: its header {wrong}: {','.join(header)[:200]!r}; name the columns after the "
            "event's fields in its first line, separated by commas, and run again; nothing was lost"
        )
    return header


def _json(header: list[str], cells: list[str]) -> bytes | None:
    """The row as JSON; None if it is not UTF-8."""
    given = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
    try:
        return json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return None
