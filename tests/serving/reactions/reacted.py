"""What reactions are tried on: a real store, a real outbox, and an engine over them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from given import event

from serving import encoding
from serving.lmdb_store import LmdbStore
from serving.reactions import Event, Reaction
from serving.reactions.counts import Counts
from serving.reactions.engine import Engine, Message
from serving.reactions.event import parse
from serving.reactions.outbox import Outbox
from serving.reactions.registry import declared

Told = Mapping[str, Any]


@dataclass
class Shop:
    store: LmdbStore
    outbox: Outbox
    counts: Counts = field(default_factory=Counts)
    sent: list[Message] = field(default_factory=list)
    reactions: Sequence[Reaction] = ()

    def react(self, *events: Told | bytes) -> None:
        """React on one batch, by an engine that knows nothing but what is kept."""
        engine = Engine(
            self.store,
            self.reactions or declared(()),
            self.outbox,
            self.sent.extend,
            self.counts,
            webhooks={"buyers"},
            alerts="alerts",
            stock_under=5,
            clock=encoding.now,
        )
        engine.react([e if isinstance(e, bytes) else json.dumps(e).encode() for e in events])

    def value(self, kind: str, key: str) -> Any:
        answer = self.store.get(kind, key)
        return None if answer is None else answer.value

    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(payload) for _, _, payload in self.sent]


def at(seconds: int) -> str:
    """A time so many seconds after all that the shop has published."""
    return f"2026-01-03T00:{seconds // 60:02}:{seconds % 60:02}Z"


def price(number: int, cents: int, seconds: int | None = None, **fields: object) -> dict[str, Any]:
    when = number if seconds is None else seconds
    return event("price_change", number, price_cents=cents, occurred_at=at(when), **fields)


def moved(number: int, units: int, **fields: object) -> dict[str, Any]:
    return event("inventory_change", number, delta_quantity=units, occurred_at=at(number), **fields)


def bought(number: int, units: int = 1, **fields: object) -> dict[str, Any]:
    return event("purchase", number, quantity=units, occurred_at=at(number), **fields)


def clicked(number: int, **fields: object) -> dict[str, Any]:
    return event("click", number, occurred_at=at(number), **fields)


def parsed(told: Told) -> Event:
    found = parse(json.dumps(told).encode(), encoding.now())
    assert found is not None
    return found
