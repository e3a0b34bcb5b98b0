"""A Kafka topic as its clients see it: made, measured, read back.

Offsets go by the partition's number as text, as they stand in the JSON of the ledger.
"""

import time
from collections.abc import Iterator

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from pipelines.errors import BrokerError

_REPLY_TIMEOUT_S = 10
_READ_TIMEOUT_S = 15
_NO_ID = "A" * 22  # what a broker older than 2.8 gives as a topic's id


def ensure_topic(bootstrap_servers: str, topic: str, partitions: int) -> None:
    """Create `topic` if it is absent; one that exists is never changed.

    Raises:
        BrokerError: the broker does not answer within 10 s, or refuses.
    """
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    try:
        if topic in client.list_topics(timeout=_REPLY_TIMEOUT_S).topics:
            return
        wanted = NewTopic(topic, num_partitions=partitions, replication_factor=-1)
        client.create_topics([wanted], operation_timeout=10)[topic].result(15)
    except (KafkaException, TimeoutError) as error:
        cause = error.args[0] if error.args else "no answer"
        if isinstance(cause, KafkaError) and cause.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return
        reason = cause.str() if isinstance(cause, KafkaError) else cause
        raise BrokerError(
            f"topic {topic} at {bootstrap_servers} cannot be reached or created: {reason}; "
            "start that broker or correct source.kafka.bootstrap_servers"
        ) from None


def topic_id(client: AdminClient, topic: str) -> str:
    """What tells a topic from a later one of the same name; empty if the broker knows none.

    Raises:
        BrokerError: the broker does not answer.
    """
    try:
        described = client.describe_topics(
            TopicCollection([topic]), request_timeout=_REPLY_TIMEOUT_S
        )
        found = str(described[topic].result(_READ_TIMEOUT_S).topic_id)
        return "" if found == _NO_ID else found
    except (KafkaException, TimeoutError) as error:
        cause = error.args[0] if error.args else None
        if isinstance(cause, KafkaError) and cause.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return ""
        raise BrokerError(
            f"the Kafka broker does not say which topic {topic} is: {cause or 'no answer'}; "
            "start it and run again"
        ) from None


def first_offsets(servers: str, topic: str) -> dict[str, int]:
    """By partition, the offset of the oldest message that it still holds."""
    return {partition: low for partition, (low, _) in _watermarks(servers, topic).items()}


def end_offsets(servers: str, topic: str) -> dict[str, int]:
    """By partition, the offset that its next message will get."""
    return {partition: high for partition, (_, high) in _watermarks(servers, topic).items()}


def _watermarks(servers: str, topic: str) -> dict[str, tuple[int, int]]:
    consumer = _consumer(servers)
    deadline = time.monotonic() + _READ_TIMEOUT_S
    try:
        while True:
            try:
                listed = consumer.list_topics(topic, timeout=_READ_TIMEOUT_S).topics[topic]
                pairs = [(p, TopicPartition(topic, p)) for p in sorted(listed.partitions)]
                return {
                    str(p): consumer.get_watermark_offsets(at, timeout=_READ_TIMEOUT_S)
                    for p, at in pairs
                }
            except KafkaException:  # a topic just created has no leader for some milliseconds
                if time.monotonic() > deadline:
                    raise
    finally:
        consumer.close()


def read_back(
    servers: str, topic: str, starts: dict[str, int], ends: dict[str, int]
) -> Iterator[list[Message]]:
    """What each partition holds from its start up to its end, in batches."""
    asked = [TopicPartition(topic, int(p), at) for p, at in starts.items() if at < ends[p]]
    unread = {partition.partition for partition in asked}
    consumer = _consumer(servers)
    try:
        consumer.assign(asked)
        silent_since = time.monotonic()
        while unread:
            messages = consumer.consume(10_000, 0.2)
            if messages:
                silent_since = time.monotonic()
            elif time.monotonic() > silent_since + _READ_TIMEOUT_S:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
            batch = []
            for message in messages:
                end = ends[str(message.partition())]
                if message.error() is None and message.offset() < end:
                    batch.append(message)
                elif message.error() and message.error().code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(message.error())
                if message.offset() >= end - 1:
                    unread.discard(message.partition())
            yield batch
    finally:
        consumer.close()


def _consumer(servers: str) -> Consumer:
    conf = {"bootstrap.servers": servers, "group.id": "ledger", "enable.auto.commit": False}
    more = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "log_level": 0}
    return Consumer(conf | more)
