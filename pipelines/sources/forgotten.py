"""A person out of what the sources keep under the lake: files that landed, topics of our own."""

import csv
import gzip
import io
import os
import time
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import BrokerError, SourceError
from pipelines.scrub import scrub_all
from pipelines.settings import Settings
from pipelines.sources.broker import LocalBroker
from pipelines.sources.stream import files_folder
from pipelines.sources.topic import end_offsets

# For a run of the broker that keeps nothing: it looks at once, and deletes without delay.
_FORGETS = """log.retention.ms=1
log.retention.check.interval.ms=200
log.initial.task.delay.ms=0
log.segment.delete.delay.ms=0
"""
_FORGOTTEN_S = 60


def forget_landed(settings: Settings, people: tuple[str, ...]) -> int:
    """Scrub the files that landed in a local folder, row by row; returns how many changed.

    A file keeps its name, its number of rows and its time, so no stream takes it for a new one.
    """
    folder = files_folder(settings)
    if "://" in folder or not Path(folder).is_dir():
        return 0
    changed = 0
    for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        if (new := _scrubbed(file, people)) is not None:
            stat = file.stat()
            draft = file.with_name(f".{file.name}.tmp")
            draft.write_bytes(new)
            os.utime(draft, ns=(stat.st_atime_ns, stat.st_mtime_ns))
            draft.chmod(stat.st_mode)
            draft.replace(file)
            changed += 1
    return changed


def _scrubbed(file: Path, people: tuple[str, ...]) -> bytes | None:
    """A file's bytes without the people; None if it names none."""
    content = file.read_bytes()
    if content[:4] == b"PAR1":
        return _parquet(content, people)
    packed = content[:2] == b"\x1f\x8b"
    text = (gzip.decompress(content) if packed else content).decode("utf-8", "surrogateescape")
    ending = Path(file.name.removesuffix(".gz")).suffix
    new = _csv(text, people) if ending == ".csv" else scrub_all(text, people)
    if new == text:
        return None
    plain = new.encode("utf-8", "surrogateescape")
    return gzip.compress(plain) if packed else plain


def _csv(text: str, people: tuple[str, ...]) -> str:
    """The records of a CSV file; only those that change are written anew."""
    lines = io.StringIO(text, newline="").readlines()
    reader = csv.reader(iter(lines))
    names = next(reader, [])
    place = names.index("customer_id") if "customer_id" in names else len(names)
    new, done = lines[: reader.line_num], reader.line_num
    for values in reader:
        told = [scrub_all(value, people) for value in values]
        if place < len(values) and values[place] in people:
            told[place] = ""
        raw, done = "".join(lines[done : reader.line_num]), reader.line_num
        if told != values:
            record = io.StringIO()
            csv.writer(record, lineterminator="").writerow(told)
            raw = record.getvalue() + raw[len(raw.rstrip("\r\n")) :]
        new.append(raw)
    return "".join(new)


def _parquet(content: bytes, people: tuple[str, ...]) -> bytes | None:
    table = pq.read_table(pa.BufferReader(content))
    new = table
    for place, name in enumerate(table.column_names):
        column = table[name]
        if name == "customer_id":
            is_one = pc.is_in(column.cast(pa.string()), pa.array(people))
            column = pc.if_else(is_one, None, column)
        elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            told = [v if v is None else scrub_all(v, people) for v in column.to_pylist()]
            column = pa.chunked_array([pa.array(told, column.type)])
        new = new.set_column(place, table.schema.field(place), column)
    if new.equals(table):
        return None
    sink = io.BytesIO()
    pq.write_table(new, sink)
    return sink.getvalue()


def forget_topics(settings: Settings, read_up_to: Mapping[str, int]) -> int:
    """Empty the topics of our own broker, once bronze holds what they hold; returns the bytes.

    Args:
        read_up_to: by partition of the source's topic, the offset after the newest in bronze.

    Raises:
        SourceError: bronze lacks some of it.
        BrokerError: the broker did not let go of it within a minute.
    """
    data, topic = settings.state / "broker" / "data", settings.source.kafka.topic
    before = sum(log.stat().st_size for log in _logs(data))
    if not before:
        return 0
    if any(log.parent.name.rpartition("-")[0] == topic for log in _logs(data)):
        with LocalBroker(settings.state) as broker:
            ends = end_offsets(broker.bootstrap_servers, topic)
        behind = [p for p, end in ends.items() if end > read_up_to.get(p, 0)]
        if behind:
            raise SourceError(
                f"{topic} holds events that bronze lacks; run `lakehouse ingest`, then erase again"
            )
    with LocalBroker(settings.state, further=_FORGETS) as broker:
        deadline = time.monotonic() + _FORGOTTEN_S
        while any(log.stat().st_size for log in _logs(data)):
            broker.check_alive()
            if time.monotonic() > deadline:
                raise BrokerError("the broker still keeps events after a minute; erase again")
            time.sleep(0.1)
    return before


def _logs(data: Path) -> list[Path]:
    """The segments of all topics but Kafka's own."""
    return [log for log in data.glob("*/*.log") if not log.parent.name.startswith("__")]
