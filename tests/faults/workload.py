"""What is sent: message `n` of a seed, the same whenever it is asked for, and where it must stand.

Events of two days in March 2017, in order of time but for those that are made late. Every
`expect` is said here from the event's documentation, never asked of the pipelines.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from random import Random
from typing import Any

from bad_messages import REFUSED, UNREADABLE

START = datetime(2017, 3, 1, tzinfo=UTC)
STEP_S = 3  # of event time from one message to the next
LATE_DAYS = 40
NEVER_LATE = 1000  # messages until the stream has a watermark by which others are late
REGIONS = ("north", "south", "east", "west")
CATEGORIES = ("DAIRY", "BREAD", "FRUIT", None)
TABLES = {
    "purchase": "silver.purchases",
    "click": "silver.clicks",
    "price_change": "silver.price_changes",
    "inventory_change": "silver.inventory_changes",
    "promotion": "silver.promotions",
    "item_upsert": "silver.items",
}
_WEIGHTS = (52, 22, 8, 9, 4, 5)


@dataclass(frozen=True)
class Message:
    """One message and what must become of it.

    Attributes:
        kind: the variety, such as `good`, `duplicate`, `bad empty`.
        table: where it must stand, unless it is late, a duplicate or superseded.
        reason: a code that must be among those of its refusal; empty if it is valid.
        cents: money of a purchase; 0 of anything else.
        units: what it adds to the stock of its item in its region.
    """

    n: int
    kind: str
    key: bytes
    payload: bytes | None
    event_id: str
    table: str
    reason: str
    occurred_at: str
    item_id: str
    region: str
    currency: str
    cents: int
    units: int

    @property
    def digest(self) -> str:
        return "" if self.payload is None else sha256(self.payload).hexdigest()

    def told(self) -> dict[str, Any]:
        """What the ledger keeps of it."""
        known = asdict(self) | {"digest": self.digest}
        del known["payload"], known["key"]
        return known


def message(seed: int, n: int) -> Message:
    """The n-th message of a seed."""
    draw = Random(f"{seed}-{n}")
    chance = draw.random()
    if chance < 0.030:
        return _broken(seed, n, draw)
    if chance < 0.075 and n > NEVER_LATE:
        return _again(seed, n, draw)
    if chance < 0.095 and n > NEVER_LATE:
        return _odd_time(seed, n, draw)
    return _good(seed, n)


def messages(seed: int, first: int, after: int) -> Iterator[Message]:
    return (message(seed, n) for n in range(first, after))


def _event(seed: int, n: int) -> dict[str, Any]:
    draw = Random(f"event-{seed}-{n}")
    (kind,) = draw.choices(list(TABLES), _WEIGHTS)
    early = draw.choice((0, 0, 0, 60, 3600, 86400))  # out of order, within the horizon
    at = START + timedelta(seconds=n * STEP_S - early)
    item = f"i{draw.randrange(150)}"
    event: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=(seed << 64) + n)),
        "event_type": kind,
        "occurred_at": at.isoformat().replace("+00:00", "Z"),
        "item_id": item,
        "category": draw.choice(CATEGORIES),
    }
    if kind != "item_upsert":
        event["region"] = draw.choice(REGIONS)
    customer = draw.choice((None, f"c{draw.randrange(300)}", f"c{draw.randrange(300)}"))
    if kind == "purchase":
        event |= {"basket_id": f"b{n // 5}", "customer_id": customer}
        event |= {"quantity": draw.randint(1, 5), "price_cents": draw.choice((99, 150, 16_777_217))}
        event["currency"] = draw.choice(("USD", "USD", "EUR"))
        if draw.random() < 0.3:
            event["amount_cents"] = event["quantity"] * event["price_cents"] - draw.randint(0, 90)
    elif kind == "click":
        event |= {"session_id": f"s{n // 7}", "customer_id": customer}
    elif kind == "price_change":
        event |= {"price_cents": draw.randint(1, 99_999), "currency": "USD"}
    elif kind == "inventory_change":
        event["delta_quantity"] = draw.randint(-20, 60)
    elif kind == "promotion":
        event |= {"placement": draw.choice(("display", "mailer", "both"))}
        event["duration_days"] = draw.randint(1, 9)
    else:
        event |= {"title": f"Item {item}, {n}", "brand": "Own"}
    return event


def _made(
    n: int, kind: str, event: dict[str, Any], reason: str = "", payload: bytes | None = None
) -> Message:
    """A message of an event; `payload` where its bytes are others than the event's."""
    table = TABLES[event["event_type"]]
    cents = 0
    units = event.get("delta_quantity", 0)
    if event["event_type"] == "purchase" and not reason:
        cents = event.get("amount_cents", event["quantity"] * event["price_cents"])
        units = -event["quantity"]
    return Message(
        n=n,
        kind=kind,
        key=event["event_id"].encode(),
        payload=json.dumps(event).encode() if payload is None else payload,
        event_id=event["event_id"],
        table=f"{table}_quarantine" if reason else table,
        reason=reason,
        occurred_at=event["occurred_at"],
        item_id=event["item_id"],
        region=event.get("region", ""),
        currency=event.get("currency", ""),
        cents=cents,
        units=0 if reason else units,
    )


def _good(seed: int, n: int) -> Message:
    """A valid event, in one of the shapes that a producer's schema may drift to."""
    event, shape = _event(seed, n), Random(f"shape-{seed}-{n}").randrange(40)
    if shape == 0:
        return _made(n, "drift: a new column", event | {"loyalty": {"tier": [1, "gold"]}})
    if shape == 1:
        return _made(n, "drift: reordered", dict(reversed(event.items())))
    if shape == 2 and "quantity" in event:
        turned = json.dumps(event | {"quantity": str(event["quantity"])}).encode()
        return _made(n, "drift: a number as text", event, payload=turned)
    if shape == 3:
        return _made(n, "drift: deeper", event | {"attributes": _deep(30)})
    if shape == 4:
        at = datetime.fromisoformat(event["occurred_at"])
        local = at.astimezone(_zone(Random(f"zone-{seed}-{n}").choice((-11, 2, 14))))
        turned = json.dumps(event | {"occurred_at": local.isoformat()}).encode()
        return _made(n, "skew: a clock in another zone", event, payload=turned)
    return _made(n, "good", event)


def _deep(levels: int) -> Any:
    return {"in": _deep(levels - 1)} if levels else "the end"


def _zone(hours: int) -> timezone:
    return timezone(timedelta(hours=hours))


def _earlier(seed: int, n: int, draw: Random) -> int | None:
    """An earlier message that is good and no item, whose newest version wins."""
    for _ in range(20):
        back = draw.randrange(max(0, n - 5000), n)
        found = message(seed, back)
        if not found.reason and found.table != "silver.items" and found.kind.startswith("good"):
            return back
    return None


def _again(seed: int, n: int, draw: Random) -> Message:
    """An event that was sent before; its id with other bytes in one of six."""
    back = _earlier(seed, n, draw)
    if back is None:
        return _good(seed, n)
    event = _event(seed, back)
    if draw.randrange(6):
        return _made(n, "duplicate", event)
    return _made(n, "conflict", event | {"note": n}, reason="event_id_reused")


def _odd_time(seed: int, n: int, draw: Random) -> Message:
    """An event of 40 days ago, of a wrong clock, of a leap day or of the hour that comes twice."""
    event = _event(seed, n)
    at = datetime.fromisoformat(event["occurred_at"])
    late = at - timedelta(days=LATE_DAYS)
    odd: dict[str, datetime] = {
        "late": late,
        "late ": late,
        "late  ": late,
        "skew: a day ahead": at + timedelta(days=1),
        "skew: a leap day": datetime(2020, 2, 29, 23, 59, 59, tzinfo=UTC),
        "skew: the hour that comes twice": datetime(2017, 10, 29, 2, 30, tzinfo=_zone(1)),
        "future": datetime(2099, 12, 31, tzinfo=UTC),
    }
    kind = draw.choice(list(odd))
    event["occurred_at"] = odd[kind].isoformat()
    if event["event_type"] not in ("purchase", "click"):
        return _good(seed, n)  # of a rare type a batch may hold this one alone, its own median
    return _made(n, kind.strip(), event)


def _broken(seed: int, n: int, draw: Random) -> Message:
    """A message that no table may take, as listed in the reliability anchors."""
    kind = draw.choice([*REFUSED, *UNREADABLE])
    if kind in UNREADABLE:
        reason, payload = UNREADABLE[kind]
        return Message(
            n, kind, f"bad-{n}".encode(), payload, "", "bronze.events_quarantine", reason,
            "", "", "", "", 0, 0,
        )  # fmt: skip
    reason, change = REFUSED[kind]
    event = _event(seed, n)
    event |= {"event_type": "purchase", "basket_id": "b", "quantity": 1, "price_cents": 1}
    event |= {"region": "north", "currency": "USD"}
    turned = json.dumps(event | change(event), ensure_ascii=False).encode()
    return _made(n, kind, event, reason=reason, payload=turned)
