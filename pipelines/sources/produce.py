"""Events into Kafka, with a ledger of every acknowledged message, kept by the producer itself.

`LEDGER/<name>-<fingerprint>/part-*.parquet` holds one row per message that the topic holds: its
partition, its offset and the first 8 bytes of the SHA-256 of its payload. What the lake stores can
be held against it without trusting the lake. `complete.json` says that all events were sent.
"""

import errno
import fcntl
import hashlib
import json
import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from pipelines.errors import BrokerError, DiskFullError, LockedError, SourceError
from pipelines.settings import KafkaSettings
from pipelines.sources.broker import ensure_topic

DIGEST_BYTES = 8
_DELIVERY_TIMEOUT_MS = 60_000
_REPLY_TIMEOUT_S = 15
_PART_ROWS = 500_000
_SERVE_EVERY = 1_000
_FLUSH_TIMEOUT_S = 5
_EARLY_S = 0.005
_SCHEMA = pa.schema({"partition": pa.int32(), "offset": pa.int64(), "digest": pa.binary()})
_TYPE_MARK = b'"event_type":"'


@dataclass(frozen=True)
class ProduceResult:
    """What was sent. `events`: acknowledged, each once; `seconds`: of the sending attempt."""

    name: str
    events: int
    by_type: dict[str, int]
    seconds: float
    already: bool


def read_ledger(ledger_dir: Path) -> list[Path]:
    """The Parquet parts of all datasets, complete or not, in a fixed order."""
    return sorted(ledger_dir.glob("*/part-*.parquet"))


def produce(
    events: Iterable[tuple[bytes, bytes]],
    *,
    settings_kafka: KafkaSettings,
    bootstrap_servers: str,
    ledger_dir: Path,
    name: str,
    fingerprint: str,
    rate: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ProduceResult:
    """Send all events once; a second call with the same name and fingerprint sends nothing.

    After an attempt that broke off, what the topic holds beyond the ledger is recorded from the
    topic and all events are sent again: their event_ids are the same, the lake drops the repeats.

    Args:
        events: (key, payload) pairs; the same ones whenever `fingerprint` is the same.
        bootstrap_servers: host:port of a broker that runs.
        rate: events per second at most; None: as fast as it goes.
        progress: gets the number acknowledged so far, about once a second, also while the broker
            is silent: what it raises ends the sending, e.g. `LocalBroker.check_alive`.

    Raises:
        BrokerError: the broker is gone or refuses; what it acknowledged is in the ledger.
        SourceError: the ledger says sent, but the topic does not hold it.
        LockedError: another process is sending the same events.
        DiskFullError: no space left for the ledger.
    """
    folder = ledger_dir / f"{name}-{fingerprint[:16]}"
    topic = settings_kafka.topic
    ensure_topic(bootstrap_servers, topic, settings_kafka.partitions)
    with _locked(folder), _kafka_errors(bootstrap_servers):
        ends = _end_offsets(bootstrap_servers, topic)
        complete, began = folder / "complete.json", folder / "started.json"
        if complete.exists():
            facts = json.loads(complete.read_bytes())
            _check_same_topic(folder, topic, facts, ends)
            counts = facts["events"], facts["by_type"], facts["seconds"]
            return ProduceResult(name, *counts, already=True)
        if began.exists():
            _record_beyond_ledger(folder, bootstrap_servers, topic, ends)
        else:
            _write_json(began, {"topic": topic, "end_offsets": ends})
        ledger = _Ledger(folder)
        sending = _Sending(ledger, topic, bootstrap_servers, progress or (lambda _: None))
        started = time.perf_counter()
        by_type = sending.send(events, rate)
        seconds = round(time.perf_counter() - started, 3)
        count = sum(by_type.values())
        facts = {"name": name, "fingerprint": fingerprint, "events": count, "by_type": by_type}
        facts |= {"seconds": seconds, "topic": topic, "end_offsets": _recorded_ends(folder)}
        _write_json(complete, facts)
    return ProduceResult(name, count, by_type, seconds, already=False)


class _Ledger:
    """The rows of one attempt; `write` puts those gathered so far into a part of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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

    def write(self, *, at_least: int = 1, known: pa.Table | None = None) -> None:
        """Write the gathered rows, without those in `known`, once there are `at_least` many."""
        rows = len(self._offsets)
        if rows < at_least:
            return
        digests = pa.py_buffer(bytes(self._digests))
        columns = [
            pa.Array.from_buffers(pa.int32(), rows, [None, pa.py_buffer(self._partitions)]),
            pa.Array.from_buffers(pa.int64(), rows, [None, pa.py_buffer(self._offsets)]),
            pa.Array.from_buffers(pa.binary(DIGEST_BYTES), rows, [None, digests]).cast(pa.binary()),
        ]
        table = pa.table(columns, schema=_SCHEMA)
        if known is not None and known.num_rows:
            table = table.join(known, keys=["partition", "offset"], join_type="left anti")
        number = len(list(self._folder.glob("part-*.parquet")))
        with _replacing(self._folder / f"part-{number:05d}.parquet") as file:
            pq.write_table(table, file, compression="zstd", use_dictionary=["partition"])
        self._clear()


class _Sending:
    """One attempt: events through librdkafka, its answers into the ledger."""

    def __init__(
        self, ledger: _Ledger, topic: str, servers: str, progress: Callable[[int], None]
    ) -> None:
        self._ledger, self._topic, self._progress = ledger, topic, progress
        self._next_report = time.monotonic() + 1
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "acks": "all",
                "compression.type": "lz4",  # 465,000 events/s of 203 B; zstd 419,000
                "linger.ms": 50,
                "delivery.timeout.ms": _DELIVERY_TIMEOUT_MS,
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 512 * 1024,
                "on_delivery": ledger.on_delivery,
                "log_level": 0,
            }
        )

    def send(self, events: Iterable[tuple[bytes, bytes]], rate: int | None) -> dict[str, int]:
        """Send all, wait for every answer, and count the events by type."""
        try:
            by_type = self._queue(events, rate)
            while len(self._producer):
                self._serve(0.1)
            self._serve(0)
        except BaseException:
            self._producer.purge(in_flight=False)
            self._producer.flush(_FLUSH_TIMEOUT_S)  # what is under way may still be acknowledged
            raise
        finally:
            self._ledger.write()
        self._progress(self._ledger.acknowledged)
        return {name.decode(errors="replace"): count for name, count in by_type.items()}

    def _queue(self, events: Iterable[tuple[bytes, bytes]], rate: int | None) -> Counter[bytes]:
        by_type: Counter[bytes] = Counter()
        producer, topic, started = self._producer, self._topic, time.monotonic()
        for number, (key, payload) in enumerate(events, 1):
            at = payload.find(_TYPE_MARK) + len(_TYPE_MARK)
            found = payload[at : payload.find(b'"', at)] if at >= len(_TYPE_MARK) else b""
            by_type[found or b"unreadable"] += 1
            while True:
                try:
                    producer.produce(topic, payload, key)
                    break
                except BufferError:
                    self._serve(0.1)
            if number % _SERVE_EVERY == 0:
                self._serve(0)
            while rate and (early := started + number / rate - time.monotonic()) > _EARLY_S:
                self._serve(min(early, 0.5))
        return by_type

    def _serve(self, seconds: float) -> None:
        self._producer.poll(seconds)
        if self._ledger.error is not None:
            raise KafkaException(self._ledger.error)
        self._ledger.write(at_least=_PART_ROWS)
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + 1
            self._progress(self._ledger.acknowledged)


def _record_beyond_ledger(folder: Path, servers: str, topic: str, ends: dict[str, int]) -> None:
    """Record what a broken attempt got into the topic after the last part that it wrote."""
    began = json.loads((folder / "started.json").read_bytes())
    recorded = _recorded_ends(folder)
    _check_same_topic(folder, topic, began | {"end_offsets": began["end_offsets"] | recorded}, ends)
    starts = {p: max(began["end_offsets"].get(p, 0), recorded.get(p, 0)) for p in ends}
    missing = [TopicPartition(topic, int(p), at) for p, at in starts.items() if at < ends[p]]
    known = _recorded_by_others(folder, topic, min((m.offset for m in missing), default=0))
    ledger = _Ledger(folder)
    consumer = _consumer(servers)
    consumer.assign(missing)
    unread = {m.partition for m in missing}
    silent_since = time.monotonic()
    while unread:
        messages = consumer.consume(10_000, 0.2)
        if messages:
            silent_since = time.monotonic()
        elif time.monotonic() > silent_since + _REPLY_TIMEOUT_S:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        for message in messages:
            partition, end = message.partition(), ends[str(message.partition())]
            if message.error() is None and message.offset() < end:
                ledger.add(message)
            elif message.error() and message.error().code() != KafkaError._PARTITION_EOF:
                raise KafkaException(message.error())
            if message.offset() >= end - 1:
                unread.discard(partition)
        ledger.write(at_least=_PART_ROWS, known=known)
    ledger.write(known=known)
    consumer.close()


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


def _consumer(servers: str) -> Consumer:
    conf = {"bootstrap.servers": servers, "group.id": "ledger", "enable.auto.commit": False}
    more = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "log_level": 0}
    return Consumer(conf | more)


def _end_offsets(servers: str, topic: str) -> dict[str, int]:
    """By partition, the offset that its next message will get."""
    consumer = _consumer(servers)
    deadline = time.monotonic() + _REPLY_TIMEOUT_S
    try:
        while True:
            try:
                listed = consumer.list_topics(topic, timeout=_REPLY_TIMEOUT_S).topics[topic]
                pairs = [(p, TopicPartition(topic, p)) for p in sorted(listed.partitions)]
                return {
                    str(p): consumer.get_watermark_offsets(at, timeout=_REPLY_TIMEOUT_S)[1]
                    for p, at in pairs
                }
            except KafkaException:  # a topic just created has no leader for some milliseconds
                if time.monotonic() > deadline:
                    raise
    finally:
        consumer.close()


@contextmanager
def _kafka_errors(servers: str) -> Iterator[None]:
    try:
        yield
    except KafkaException as error:
        reason = error.args[0].str() if isinstance(error.args[0], KafkaError) else error
        raise BrokerError(
            f"the Kafka broker at {servers} did not take the events: {reason}; make sure that it "
            "runs, then run again: what it took is in the ledger"
        ) from None


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
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
