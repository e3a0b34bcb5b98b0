"""What is known while a batch of events is reacted on: the store, and what was just put."""

from datetime import timedelta
from typing import Any

from serving import live_values as values
from serving.online import Change, OnlineStore
from serving.reactions.effects import Put
from serving.reactions.event import Event
from serving.times import instant, microseconds


class Live:
    """The online store with the changes of this batch on top; see `flush`.

    Args:
        store: written by no other reactor.
        now: in microseconds since 1970: a value's time to live counts from then, so that events
            that come late are known as long as others.
        stock_under: an item with fewer units is short; `reactions.stock_under`.
    """

    def __init__(self, store: OnlineStore, now: int, stock_under: int) -> None:
        self._store, self._now, self.stock_under = store, now, stock_under
        self._known: dict[tuple[str, str], tuple[Any, int]] = {}
        self._changes: dict[tuple[str, str], Change] = {}

    def get(self, kind: str, key: str) -> Any:
        """The current value of a key, or None; not to be changed in place."""
        return self._read(kind, key)[0]

    def put(self, put: Put, event: Event) -> bool:
        """Write what an event brought, unless a later one did; False if so."""
        before, changed_at = self._read(put.kind, put.key)
        at = max(event.at, changed_at) if put.is_merged else event.at
        if at < changed_at or (put.is_merged and put.value == before):
            return False
        self._known[put.kind, put.key] = put.value, at
        ttl = None
        if put.ttl is not None:
            ttl = put.ttl + timedelta(microseconds=max(0, self._now - at))
        change = Change(put.kind, put.key, put.value, instant(at), ttl)
        self._changes[put.kind, put.key] = change
        return True

    def flush(self) -> int:
        """Write all that was put, at once; returns the number of keys that changed."""
        return self._store.apply(self._changes.values()) if self._changes else 0

    def price_before(self, event: Event) -> int | None:
        """The price that an event's price took the place of, in its region and currency."""
        published = self._rows("prices", event.item_id, "prices")
        return values.price_before(
            self.get(values.PRICES, event.item_id),
            published,
            event.region,
            event.stamp,
            event.text("currency"),
        )

    def stock(self, event: Event) -> tuple[int, int] | None:
        """The stock in an event's region before and after it; None where none is kept."""
        published = self.published_levels(event.item_id)
        moves = values.with_move(self.get(values.STOCK, event.item_id), published, move_of(event))
        return values.stock_around(moves, published, move_of(event))

    def published_levels(self, item_id: str) -> list[dict[str, Any]]:
        """The stock of an item by region, as it was last published."""
        return self._rows("inventory", item_id, "levels")

    def _rows(self, kind: str, key: str, name: str) -> list[dict[str, Any]]:
        found = self.get(kind, key)
        return found[name] if found else []

    def _read(self, kind: str, key: str) -> tuple[Any, int]:
        known = self._known.get((kind, key))
        if known is None:
            answer = self._store.get(kind, key)
            known = (None, 0)
            if answer is not None:
                # A published value was changed by nobody: any event may put its own.
                is_live = kind not in values.PUBLISHED
                known = answer.value, microseconds(answer.published_at) if is_live else 0
            self._known[kind, key] = known
        return known


def move_of(event: Event) -> values.Move:
    """What an event does to the stock; of a purchase, less what was sold."""
    if event.type == "purchase":
        return (event.at, event.id, event.region, -int(event.fields["quantity"]), 0)
    return (event.at, event.id, event.region, int(event.fields["delta_quantity"]), 1)
