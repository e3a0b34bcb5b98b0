"""What a reaction may have done: write the online store, emit an event, call a webhook."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias

from serving.online import JSONValue
from serving.reactions.event import Event
from serving.times import iso

# The same event makes the same reaction's effect again: an id that says so lets it count once.
_NAMESPACE = uuid.UUID("0b6f9c9e-6f8a-5a43-8a0e-9f2d5c6f7e11")


@dataclass(frozen=True, slots=True)
class Put:
    """Write a key of the online store; None deletes it.

    What an event of later time has put stays. `is_merged` says that the value was made from what
    stood there before, so that it holds all of that too and is written whatever its time.
    """

    kind: str
    key: str
    value: JSONValue
    ttl: timedelta | None = None
    is_merged: bool = False


@dataclass(frozen=True, slots=True)
class Emit:
    """Send a message about the event to a Kafka topic, by item."""

    topic: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """Post a message about the event to a webhook of conf/reactions/shop.yml."""

    webhook: str
    fields: Mapping[str, Any] = field(default_factory=dict)


Effect: TypeAlias = Put | Emit | Call


def effect_id(reaction: str, event: Event) -> str:
    """The id of what a reaction does about an event; the same whenever it is done again."""
    return str(uuid.uuid5(_NAMESPACE, f"{reaction}\n{event.id}"))


def message(reaction: str, event: Event, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What is emitted or posted about an event."""
    return {
        "event_id": effect_id(reaction, event),
        "event_type": reaction,
        "occurred_at": iso(event.at),
        "item_id": event.item_id,
        "region": event.region or None,
        "category": event.category or None,
        "caused_by": event.id,
        **fields,
    }
