"""An event as reactions see it: what is not whole is left to the lake's quarantine."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from serving.times import microseconds

MAX_TEXT = 128
# An event of next year would hold its price until then, whatever comes meanwhile.
MAX_AHEAD_US = 86_400_000_000
EARLIEST_US = 631_152_000_000_000  # 1990, as in silver
NUMBERS = {
    "purchase": ("quantity", "price_cents"),
    "price_change": ("price_cents",),
    "inventory_change": ("delta_quantity",),
}
TEXTS = {
    "click": ("region", "session_id"),
    "purchase": ("region", "currency"),
    "price_change": ("region", "currency"),
    "inventory_change": ("region",),
    "promotion": ("region",),
    "item_upsert": (),
}
TYPES = frozenset(TEXTS)


@dataclass(frozen=True, slots=True)
class Event:
    """One event; `fields` holds all that was sent, with the numbers of its type checked.

    `at` is when it happened, in microseconds since 1970; `region` and `category` may be empty.
    """

    id: str
    type: str
    at: int
    item_id: str
    region: str
    category: str
    fields: Mapping[str, Any]

    @property
    def stamp(self) -> tuple[int, str]:
        """What orders events of an item: time, and the id among those of one time."""
        return self.at, self.id

    def text(self, name: str) -> str:
        """A text of the event; empty if it has none that can be a key."""
        return _text(self.fields.get(name))


def parse(payload: bytes | None, now: int) -> Event | None:
    """The event of a message, or None where it is none that can be reacted on.

    Args:
        payload: JSON.
        now: in microseconds since 1970; an event of more than a day later is refused.
    """
    try:
        fields = json.loads(payload or b"")
        at = _microseconds(fields["occurred_at"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    kind, event_id, item_id = (
        _text(fields.get(name)) for name in ("event_type", "event_id", "item_id")
    )
    if kind not in TYPES or not event_id or not item_id:
        return None
    if not EARLIEST_US <= at <= now + MAX_AHEAD_US:
        return None
    if not all(_is_count(fields.get(name)) for name in NUMBERS.get(kind, ())):
        return None
    if not all(_text(fields.get(name)) for name in TEXTS[kind]):
        return None
    if kind == "purchase" and fields["quantity"] < 1:
        return None
    region, category = _text(fields.get("region")), _text(fields.get("category"))
    return Event(event_id, kind, at, item_id, region, category, fields)


def _microseconds(text: str) -> int:
    at = datetime.fromisoformat(text)
    return microseconds(at if at.tzinfo else at.replace(tzinfo=UTC))


def _is_count(value: object) -> bool:
    return type(value) is int and abs(value) <= 10**12


def _text(value: object) -> str:
    """A text that can be part of a key; empty if it cannot."""
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return ""
    return value
