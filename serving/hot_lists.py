"""Keeps the hot lists in the online store: read from the topic, counted, written each second.

The window is read again at every start, from where the broker's timestamps say that it begins, so
nothing but the topic has to survive, and a restart counts nothing twice.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import (
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)

from pipelines.errors import BrokerError, ConfigError
from pipelines.settings import Settings
from pipelines.settings_sections import KafkaSettings
from pipelines.sources.topic import end_offsets, ensure_topic, first_offsets
from serving.hot_answers import PULSE, SELLERS, TRENDING
from serving.hot_counts import HotCounts, HotEvent, hot_event
from serving.online import OnlineStore

WRITE_S = 1.0
ALIVE = timedelta(seconds=15)  # the lists are answered for so long after the last sign of life
TITLES_S = 300.0
HEARD_S = 1.0  # a broker that does not answer for so long is away
_BATCH = 10_000
_REPLY_S = 10

Titles = Callable[[], Mapping[str, str]]
Lists = dict[str, Any]


def run_hot_lists(
    settings: Settings,
    store: OnlineStore,
    titles: Titles,
    stop: threading.Event,
    counting: Callable[[], None] = lambda: None,
) -> None:
    """Count clicks and purchases and write what changed each second, until told to stop.

    Args:
        settings: of them `source.kafka` and `hot` count.
        store: written to; the caller closes it.
        titles: item -> title, read anew every five minutes.
        stop: ends it, within a second.
        counting: called each time that the lists were written.

    Raises:
        ConfigError: no broker is named.
        BrokerError: it cannot be reached, or refuses.
    """
    kafka, hot = settings.source.kafka, settings.hot
    if settings.source.kind != "kafka" or not kafka.bootstrap_servers:
        raise ConfigError(
            "hot lists are counted from Kafka; set source.kafka.bootstrap_servers to its brokers"
        )
    counts = HotCounts(hot.window_s, hot.trend_s, hot.keep)
    writer = _Writer(store, titles, {"window_s": hot.window_s, "trend_s": hot.trend_s})
    consumer, behind = _begin(kafka, hot.window_s)
    try:
        written_at, heard_at = time.monotonic(), datetime.now(UTC)
        while not stop.is_set():
            for message in consumer.consume(_BATCH, 0.1 if behind else 0.2):
                _check(message, kafka)
                event = _event(message)
                if event is not None:
                    counts.add(event)
                behind.pop(_done(message, behind), None)
            if not behind and time.monotonic() - written_at >= WRITE_S:
                written_at = time.monotonic()
                if _is_heard(consumer):
                    heard_at = datetime.now(UTC)
                writer.write(counts, heard_at)
                counting()
    except KafkaException as error:
        raise _error(kafka, error) from None
    finally:
        consumer.close()


class _Writer:
    """Writes lists, all of them at first: what was written in another life is gone then."""

    def __init__(self, store: OnlineStore, titles: Titles, spans: Mapping[str, float]) -> None:
        self._store, self._read, self._spans = store, titles, spans
        self._titles: Mapping[str, str] = {}
        self._read_at = -TITLES_S
        self._begun = False

    def write(self, counts: HotCounts, heard_at: datetime) -> None:
        """Write what changed, and when the broker was last heard: the lists are as old as that."""
        now = datetime.now(UTC)
        if time.monotonic() - self._read_at >= TITLES_S:
            self._titles, self._read_at = self._read(), time.monotonic()
        sellers: Lists = {}
        trending: Lists = {}
        day = datetime.fromtimestamp(max(counts.newest, 0.0), UTC).date().isoformat()
        for place, best, rising in counts.changes():
            sellers[place] = {"items": self._titled(best), "date": day}
            trending[place] = {"items": self._titled(rising)}
        for kind, lists in ((SELLERS, sellers), (TRENDING, trending)):
            if not self._begun:
                self._store.publish(kind, lists.items(), version="live", published_at=now)
            elif lists:
                self._store.update(kind, lists, at=now)
        newest = None if counts.newest == -math.inf else counts.newest
        pulse = {"newest": newest, "heard_at": heard_at.isoformat(), **self._spans}
        self._store.update(PULSE, {PULSE: pulse}, at=now, ttl=ALIVE)
        self._begun = True

    def _titled(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "title": self._titles.get(one["item_id"], one["item_id"])} for one in items]


def _begin(kafka: KafkaSettings, window_s: float) -> tuple[Consumer, dict[int, int]]:
    """A consumer at the beginning of the window, and by partition the end of what it holds now.

    An event is no newer than when the broker took it in. So the latest event of any partition
    bounds the newest from below, and what was taken in a window before that is outside.
    """
    ensure_topic(kafka.bootstrap_servers, kafka.topic, kafka.partitions)
    conf = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "hot-lists", "log_level": 0}
    more = {
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
    }
    consumer = Consumer(conf | more)
    try:
        first = first_offsets(kafka.bootstrap_servers, kafka.topic)
        end = end_offsets(kafka.bootstrap_servers, kafka.topic)
        spans = {int(number): (low, end[number]) for number, low in first.items()}
        places = [TopicPartition(kafka.topic, number) for number in spans]
        newest = _newest(consumer, kafka, spans)
        if newest is not None:  # else all of it is read: no offset is asked for
            since = [
                TopicPartition(p.topic, p.partition, _millis(newest - window_s)) for p in places
            ]
            places = consumer.offsets_for_times(since, timeout=_REPLY_S)
        starts = {p.partition: _start(p.offset, *spans[p.partition]) for p in places}
        consumer.assign([TopicPartition(kafka.topic, n, at) for n, at in starts.items()])
    except KafkaException as error:
        consumer.close()
        raise _error(kafka, error) from None
    return consumer, {n: spans[n][1] for n, at in starts.items() if at < spans[n][1]}


def _is_heard(consumer: Consumer) -> bool:
    """The broker answers: nothing that came in is missing for longer than a moment."""
    try:
        consumer.get_watermark_offsets(consumer.assignment()[0], timeout=HEARD_S)
    except KafkaException:
        return False
    return True


def _newest(
    consumer: Consumer, kafka: KafkaSettings, spans: Mapping[int, tuple[int, int]]
) -> float | None:
    """The newest of the last events of the partitions; None if they are none that count."""
    ends = {number: high - 1 for number, (low, high) in spans.items() if high > low}
    consumer.assign([TopicPartition(kafka.topic, number, at) for number, at in ends.items()])
    found: float | None = None
    deadline = time.monotonic() + _REPLY_S
    while ends and time.monotonic() < deadline:
        for message in consumer.consume(len(ends), 0.5):
            _check(message, kafka)
            ends.pop(message.partition(), None)
            event = _event(message)
            if event is not None:
                found = event.at if found is None else max(found, event.at)
    return found


def _start(offset: int, low: int, high: int) -> int:
    """Where a partition is read from; none was asked for: from its first message."""
    if offset == OFFSET_INVALID:
        return low
    return high if offset < 0 else max(offset, low)  # below 0: nothing came since


def _event(message: Message) -> HotEvent | None:
    if message.error() is not None:  # the end of its partition
        return None
    return hot_event(message.value(), message.timestamp()[1] / 1000)


def _done(message: Message, behind: Mapping[int, int]) -> int:
    """The partition that is caught up with this message, or -1."""
    number = message.partition()
    return number if message.offset() + 1 >= behind.get(number, 1 << 62) else -1


def _check(message: Message, kafka: KafkaSettings) -> None:
    error = message.error()
    if error is not None and error.code() != KafkaError._PARTITION_EOF:
        raise _error(kafka, KafkaException(error))


def _error(kafka: KafkaSettings, error: KafkaException) -> BrokerError:
    cause = error.args[0] if error.args else "no answer"
    said = cause.str() if isinstance(cause, KafkaError) else cause
    return BrokerError(
        f"the topic {kafka.topic} at {kafka.bootstrap_servers} cannot be read: {said};"
        " see that the broker runs, then start again"
    )


def _millis(seconds: float) -> int:
    return max(0, int(seconds * 1000))
