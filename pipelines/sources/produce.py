"""Events into Kafka, each acknowledged one in the ledger that the producer itself keeps."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException, Producer

from pipelines.errors import BrokerError
from pipelines.settings_sections import KafkaSettings
from pipelines.sources.ledger import Ledger, begin, complete, completed, locked
from pipelines.sources.topic import end_offsets, ensure_topic

_DELIVERY_TIMEOUT_MS = 60_000
_SERVE_EVERY = 1_000
_FLUSH_TIMEOUT_S = 5
_EARLY_S = 0.005
_TYPE_MARK = b'"event_type":"'


@dataclass(frozen=True)
class ProduceResult:
    """What was sent. `events`: acknowledged, each once; `seconds`: of the sending attempt."""

    name: str
    events: int
    by_type: dict[str, int]
    seconds: float
    already: bool


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
    with locked(folder), _kafka_errors(bootstrap_servers):
        ends = end_offsets(bootstrap_servers, topic)
        if facts := completed(folder, topic, ends):
            counts = facts["events"], facts["by_type"], facts["seconds"]
            return ProduceResult(name, *counts, already=True)
        begin(folder, bootstrap_servers, topic, ends)
        sending = _Sending(Ledger(folder), topic, bootstrap_servers, progress or (lambda _: None))
        started = time.perf_counter()
        by_type = sending.send(events, rate)
        seconds = round(time.perf_counter() - started, 3)
        count = sum(by_type.values())
        facts = {"name": name, "fingerprint": fingerprint, "events": count, "by_type": by_type}
        complete(folder, facts | {"seconds": seconds, "topic": topic})
    return ProduceResult(name, count, by_type, seconds, already=False)


class _Sending:
    """One attempt: events through librdkafka, its answers into the ledger."""

    def __init__(
        self, ledger: Ledger, topic: str, servers: str, progress: Callable[[int], None]
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
        self._ledger.write_if_full()
        if time.monotonic() >= self._next_report:
            self._next_report = time.monotonic() + 1
            self._progress(self._ledger.acknowledged)


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
