"""What tests do to a topic on the broker."""

import json
import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient

from pipelines.errors import BrokerError
from pipelines.settings import Settings
from pipelines.sources.topic import ensure_topic


def recreate_topic(settings: Settings) -> None:
    """Delete the topic and make an empty one of its name."""
    kafka = settings.source.kafka
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    admin.delete_topics([kafka.topic])[kafka.topic].result(20)
    deadline = time.monotonic() + 20
    while kafka.topic in admin.list_topics(timeout=10).topics:
        assert time.monotonic() < deadline, "the topic was not deleted"
    while True:  # the name is free a moment after it has gone from the list
        try:
            ensure_topic(kafka.bootstrap_servers, kafka.topic, kafka.partitions)
            return
        except (BrokerError, KafkaException):
            assert time.monotonic() < deadline, "the topic was not created"


def send(settings: Settings, *events: Mapping[str, Any]) -> None:
    """Send events to the topic of a lake, by item, and wait until they are acknowledged."""
    kafka = settings.source.kafka
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})
    for one in events:
        producer.produce(kafka.topic, json.dumps(one).encode(), one["item_id"])
    assert producer.flush(20) == 0
