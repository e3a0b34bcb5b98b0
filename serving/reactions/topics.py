"""The topics of the reactions: matched events in, messages out."""

import threading
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import Message as Received

from pipelines.errors import BrokerError
from pipelines.sources.topic import end_offsets, ensure_topic
from serving.reactions.engine import Message

MAX_BATCH = 1000
REPLY_S = 10
BEGINNING, UNSET = -2, -1001  # of librdkafka: the first offset; no offset was committed


class MatchedEvents:
    """The topic of matched events, read on from where its effects were last kept.

    All partitions are assigned at once, without a group to join: a reactor has its store to itself,
    and one that was killed would keep its place in the group for 45 s.

    Raises:
        BrokerError: the broker does not answer.
    """

    def __init__(self, servers: str, topic: str, group: str) -> None:
        self._topic = topic
        self._consumer = Consumer(
            {
                "bootstrap.servers": servers,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "fetch.wait.max.ms": 100,
                "fetch.queue.backoff.ms": 2,
                "log_level": 0,
            }
        )
        try:
            places = [TopicPartition(topic, int(p)) for p in end_offsets(servers, topic)]
            kept = self._consumer.committed(places, timeout=REPLY_S)
            for place in kept:
                place.offset = BEGINNING if place.offset == UNSET else place.offset
            self._consumer.assign(kept)
        except KafkaException as error:
            self._consumer.close()
            raise _broker_error(error.args[0]) from None

    def take(self, wait_s: float) -> list[Received]:
        """What has come, in the order of each partition; empty if nothing does for so long.

        Raises:
            BrokerError: what was to be read next has expired.
        """
        first = self._consumer.poll(wait_s)  # `consume` would wait for a whole batch
        if first is None:
            return []
        received = [first, *self._consumer.consume(MAX_BATCH - 1, 0)]
        for one in received:
            if (error := one.error()) and not error.retriable() and not _is_passing(error):
                raise _broker_error(error)
        return [one for one in received if one.error() is None]

    def keep(self, done: Sequence[Received]) -> None:
        """All before and with these need not be read again."""
        after = {(one.topic(), one.partition()): one.offset() + 1 for one in done}
        places = [TopicPartition(topic, p, offset) for (topic, p), offset in after.items()]
        self._consumer.commit(offsets=places, asynchronous=True)

    def close(self) -> None:
        """Commit what is kept and let the broker go."""
        self._consumer.close()


class Messages:
    """Sends messages and waits until the broker has them; a topic that is not there is made."""

    def __init__(self, servers: str, partitions: int) -> None:
        self._servers, self._partitions = servers, partitions
        self._known: set[str] = set()
        conf = {"bootstrap.servers": servers, "acks": "all", "enable.idempotence": True}
        more = {"linger.ms": 0, "delivery.timeout.ms": REPLY_S * 1000, "log_level": 0}
        self._producer: Any = Producer(conf | more)
        self._lock = threading.Lock()

    def send(self, messages: Sequence[Message]) -> None:
        """See `engine.Send`.

        Raises:
            BrokerError: the broker has not taken all of them.
        """
        failures: list[KafkaError] = []

        def tell(error: KafkaError | None, _: Received) -> None:
            if error is not None:
                failures.append(error)

        for topic in {topic for topic, _, _ in messages} - self._known:
            ensure_topic(self._servers, topic, self._partitions)
            self._known.add(topic)
        with self._lock:
            for topic, key, payload in messages:
                self._producer.produce(topic, payload, key, on_delivery=tell)
            left = self._producer.flush(REPLY_S + 1)
        if failures or left:
            raise _broker_error(failures[0] if failures else "no answer")


def _is_passing(error: KafkaError) -> bool:
    """The client itself goes on to try, such as while the broker is away."""
    return error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)


def _broker_error(error: Any) -> BrokerError:
    told = error.str() if isinstance(error, KafkaError) else error
    if isinstance(error, KafkaError) and error.code() == KafkaError._AUTO_OFFSET_RESET:
        return BrokerError(
            "the matched events that were to be read next have expired; let their topic keep them"
            " for longer, and set reactions.group to another name to begin with the oldest there"
        )
    return BrokerError(f"the Kafka broker does not do as asked: {told}; see that it runs")
