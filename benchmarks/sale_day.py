"""A sale day's events: about 200 B of JSON each, seeded, a few sent twice, a few broken."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 27, tzinfo=UTC)  # a Black Friday
_REGIONS = ("north", "south", "east", "west", "online")
_CATEGORIES = tuple(f"category-{n:02d}" for n in range(40))
_BROKEN = (b"", b"null", b'{"event_id":"', b"[]", b"\xff\xfe", b'{"event_type":"purchase"}')

SHARE_RESENT = 0.001
SHARE_BROKEN = 0.001


def sale_day(events: int, *, seed: int = 17, per_second: int = 100_000) -> Iterator[bytes]:
    """Payloads in the order of their time: 70 % clicks, 20 % purchases, 5 % prices, 5 % stock."""
    rng = random.Random(seed)  # noqa: S311  # data, not secrets
    resent = b""
    for number in range(events):
        chance = rng.random()
        if chance < SHARE_BROKEN:
            yield rng.choice(_BROKEN)
        elif chance < SHARE_BROKEN + SHARE_RESENT and resent:
            yield resent
        else:
            at = START + timedelta(microseconds=number * 1_000_000 // per_second)
            payload = _event(rng, at)
            if number % 997 == 0:
                resent = payload
            yield payload


def _event(rng: random.Random, at: datetime) -> bytes:
    bits = rng.getrandbits(128)
    item = bits % 100_000
    common = (
        f'"event_id":"{uuid.UUID(int=bits)}","occurred_at":"{at:%Y-%m-%dT%H:%M:%S.%f}Z",'
        f'"item_id":"{item}","region":"{_REGIONS[bits % 5]}","category":"{_CATEGORIES[item % 40]}"'
    )
    kind = rng.random()
    customer = (bits >> 40) % 1_000_000
    if kind < 0.7:
        text = (
            f'{{"event_type":"click",{common},"customer_id":"{customer}",'
            f'"session_id":"s{bits >> 104}"}}'
        )
    elif kind < 0.9:
        text = (
            f'{{"event_type":"purchase",{common},"customer_id":"{customer}",'
            f'"basket_id":"{bits >> 104}","quantity":{bits % 4 + 1},'
            f'"price_cents":{bits % 9_000 + 100},"currency":"USD"}}'
        )
    elif kind < 0.95:
        text = (
            f'{{"event_type":"price_change",{common},'
            f'"price_cents":{bits % 9_000 + 100},"currency":"USD"}}'
        )
    else:
        text = f'{{"event_type":"inventory_change",{common},"delta_quantity":{bits % 90 - 40}}}'
    return text.encode()
