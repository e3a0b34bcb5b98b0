"""The producer's ledger: a row for every message that it got into the topic, on disk for good.

`LEDGER/<name>-<fingerprint>/part-*.parquet` holds one row per message that the topic holds: its
partition, its offset and the first 8 bytes of the SHA-256 of its payload. What the lake stores can
be held against it without trusting the lake. `started.json` says where the topic ended before,
`complete.json` that all events were sent.
"""

import errno
import fcntl
import hashlib
import json
import os
from array import array
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from confluent_kafka import KafkaError, Message

from pipelines.errors import DiskFullError, LockedError, SourceError
from pipelines.sources.topic import read_back

DIGEST_BYTES = 8
_PART_ROWS = 500_000
_SCHEMA = pa.schema({"partition": pa.int32(), "offset": pa.int64(), "digest": pa.binary()})


def read_ledger(ledger_dir: Path) -> list[Path]:
    """The Parquet parts of all datasets, complete or not, in a fixed order."""
    return sorted(ledger_dir.glob("*/part-*.parquet"))


class Ledger:
    """The rows of one attempt, without those in `known`; `write` puts them into a new part."""

    def __init__(self, folder: Path, known: pa.Table | None = None) -> None:
        self._folder, self._known = folder, known
        self.acknowledged = 0
        self.error: KafkaError | None = None
        self._clear()

    def _clear(self) -> None:
        self._partitions, self._offsets, self._digests = array("i"), array("q"), bytearray()

    def on_delivery(self, error: KafkaError | None, message: Message) -> None:
        """Librdkafka's answer for one message, 1 us; it writes nothing and so never raises."""
        if error is None:
            self.add(message)
        elif self.error is None:
            self.error = error

    def add(self, message: Message) -> None:
        self._partitions.append(message.partition())
        self._offsets.append(message.offset())
        self._digests += hashlib.sha256(message.value() or b"").digest()[:DIGEST_BYTES]
        self.acknowledged += 1

    def write_if_full(self) -> None:
        if len(self._offsets) >= _PART_ROWS:
            self.write()

    def write(self) -> None:
        rows = len(self._offsets)
        if not rows:
            return
        digests = pa.py_buffer(bytes(self._digests))
        columns = [
            pa.Array.from_buffers(pa.int32(), rows, [None, pa.py_buffer(self._partitions)]),
            pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(self._offsets)]),
            pa.Array.from_buffers(pa.binary(DIGEST_BYTES), rows, [None, digests]).cast(pa.binary()),
        ]
        table = pa.table(columns, schema=_SCHEMA)
        if self._known is not None and self._known.num_rows:
            table = table.join(self._known, keys=["partition", "offset"], join_type="left anti")
        number = len(list(self._folder.glob("part-*.parquet")))
        with _replacing(self._folder / f"part-{number:05d}.parquet") as file:
            pq.write_table(table, file, compression="zstd", use_dictionary=["partition"])
        self._clear()


def completed(folder: Path, topic: str, ends: dict[str, int]) -> dict[str, Any] | None:
    """The facts of an attempt that sent everything, if there was one.

    Raises:
        SourceError: there was, but the topic does not hold it.
    """
    path = folder / "complete.json"
    if not path.exists():
        return None
    facts: dict[str, Any] = json.loads(path.read_bytes())
    _check_same_topic(folder, topic, facts, ends)
    return facts


def begin(folder: Path, servers: str, topic: str, ends: dict[str, int]) -> None:
    """Note where the topic ends; after a broken attempt, record what it got beyond its parts."""
    path = folder / "started.json"
    if not path.exists():
        _write_json(path, {"topic": topic, "end_offsets": ends})
        return
    began, recorded = json.loads(path.read_bytes()), _recorded_ends(folder)
    _check_same_topic(folder, topic, began | {"end_offsets": began["end_offsets"] | recorded}, ends)
    starts = {p: max(began["end_offsets"].get(p, 0), recorded.get(p, 0)) for p in ends}
    lowest = min((at for p, at in starts.items() if at < ends[p]), default=0)
    ledger = Ledger(folder, _recorded_by_others(folder, topic, lowest))
    for messages in read_back(servers, topic, starts, ends):
        for message in messages:
            ledger.add(message)
        ledger.write_if_full()
    ledger.write()


def complete(folder: Path, facts: dict[str, Any]) -> None:
    """Note for good that everything was sent."""
    _write_json(folder / "complete.json", facts | {"end_offsets": _recorded_ends(folder)})


def renew(ledger_dir: Path, topic: str, digests: pa.Table) -> int:
    """Replace the digests of messages of a topic; returns how many rows have another one now.

    Args:
        digests: partition, offset, digest; null digests are those of an empty message.
    """
    new = digests.rename_columns({"digest": "new"})
    empty, changed = hashlib.sha256(b"").digest()[:DIGEST_BYTES], 0
    new = new.set_column(2, "new", pc.fill_null(new["new"], empty))
    for part in read_ledger(ledger_dir) if new.num_rows else ():
        if json.loads((part.parent / "started.json").read_bytes())["topic"] != topic:
            continue
        rows = pq.read_table(part, schema=_SCHEMA)
        both = rows.join(new, ["partition", "offset"], join_type="left outer")
        digest = pc.coalesce(both["new"], both["digest"])
        different = pc.sum(pc.not_equal(digest, both["digest"])).as_py() or 0
        if different:
            table = both.select(["partition", "offset"]).append_column("digest", digest)
            with _replacing(part) as file:
                pq.write_table(
                    table.cast(_SCHEMA), file, compression="zstd", use_dictionary=["partition"]
                )
        changed += different
    return changed


def _recorded_ends(folder: Path) -> dict[str, int]:
    """By partition, the offset after the last one in the ledger."""
    ends: dict[str, int] = {}
    for part in folder.glob("part-*.parquet"):
        rows = pq.read_table(part, columns=["partition", "offset"])
        last = rows.group_by("partition").aggregate([("offset", "max")]).to_pylist()
        for row in last:
            key = str(row["partition"])
            ends[key] = max(ends.get(key, 0), row["offset_max"] + 1)
    return ends


def _recorded_by_others(folder: Path, topic: str, lowest: int) -> pa.Table:
    """Partition and offset, from `lowest` on, of what other ledgers hold of the topic."""
    tables = [_SCHEMA.empty_table().select(["partition", "offset"])]
    for began in folder.parent.glob("*/started.json"):
        if began.parent == folder or json.loads(began.read_bytes())["topic"] != topic:
            continue
        for part in began.parent.glob("part-*.parquet"):
            rows = pq.read_table(part, columns=["partition", "offset"])
            tables.append(rows.filter(pc.field("offset") >= lowest))
    return pa.concat_tables(tables)


def _check_same_topic(
    folder: Path, topic: str, facts: dict[str, Any], ends: dict[str, int]
) -> None:
    if facts["topic"] != topic:
        what = f"sent to topic {facts['topic']}, not to {topic}"
    elif any(ends.get(p, 0) < end for p, end in facts["end_offsets"].items()):
        what = f"sent to topic {topic}, which holds less now"
    else:
        return
    raise SourceError(
        f"the ledger {folder} says that its events were {what}; "
        "point source.kafka to that topic, or delete that folder to send them again"
    )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        with _disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder / "lock").open("a"))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise LockedError(
                    f"another process is sending the events of {folder.name}; wait until it ends"
                ) from None
        yield


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            what = f"no space left for the ledger in {folder}; free some and run again"
            raise DiskFullError(what) from None
        raise SourceError(f"the ledger {folder} cannot be written: {error}; correct it") from None


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with _replacing(path) as file:
        file.write(json.dumps(content, indent=1).encode())


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write that becomes `path` at once and for good: synced, renamed, folder synced."""
    draft = path.with_name(f".{path.name}")
    with _disk_errors(path.parent):
        with draft.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
