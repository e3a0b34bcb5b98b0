"""The values that reactions keep beside what is published, and both together as one answer.

Each is made by joining events into a set and keeping its newest, so the order in which events
come, and how often, changes nothing. Publishing leaves them alone: what gold has taken in meanwhile
is told by its time, and no longer counted from here.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from heapq import nlargest
from typing import Any, TypeAlias

from serving.times import iso, microseconds

PRICES, STOCK, SHORT = "prices_live", "inventory_live", "short"
BOUGHT, TASTE = "bought", "taste"
# What `lakehouse publish` replaces: no reaction writes to these.
PUBLISHED = frozenset({"prices", "inventory", "recommendations", "popular", "similar", "search"})

KEPT_MOVES = 500  # of an item between two publishes; older ones are left to the next publish
KEPT_BOUGHT = 200
KEPT_CLICKS = 20

Row: TypeAlias = dict[str, Any]
Stamp: TypeAlias = tuple[int, str]
Move: TypeAlias = tuple[int, str, str, int, int]  # at, event_id, region, units, is_stock_record


def with_price(value: Any, region: str, stamp: Stamp, cents: int, currency: str) -> Any:
    """Prices by region, the newest two of each: what it took the place of, and what holds."""
    regions = dict(value["regions"]) if value else {}
    one = [*stamp, cents, currency]
    regions[region] = _joined(regions.get(region, ()), one, 2)
    return {"regions": dict(sorted(regions.items()))}


def price_before(
    value: Any, published: Iterable[Row], region: str, stamp: Stamp, currency: str
) -> int | None:
    """The price of a region that held before a time, in that currency; None if it is not known."""
    earlier = [
        (entry[0], entry[1], entry[2], entry[3])
        for entry in (value["regions"].get(region, ()) if value else ())
        if (entry[0], entry[1]) < stamp
    ]
    for row in published:
        at = _at(row["changed_at"])
        if row["region"] == region and at < stamp[0]:
            earlier.append((at, "", row["price_cents"], row["currency"]))
    if not earlier:
        return None
    newest = max(earlier)
    return int(newest[2]) if newest[3] == currency else None


def prices(published: Iterable[Row], value: Any) -> list[Row]:
    """The prices of an item by region, whichever is newer of what is published and what is live."""
    rows = {row["region"]: row for row in published}
    for region, entries in (value["regions"] if value else {}).items():
        at, _, cents, currency = entries[-1]
        row = rows.get(region)
        if row is None or _at(row["changed_at"]) < at:
            told = {"price_cents": cents, "currency": currency, "changed_at": iso(at)}
            rows[region] = {"region": region, **told}
    return [rows[region] for region in sorted(rows)]


def with_move(value: Any, published: Iterable[Row], move: Move) -> Any:
    """The movements of an item that the published levels do not hold yet."""
    seen = _seen(published)
    moves = _joined(value["moves"] if value else (), move, KEPT_MOVES)
    return {"moves": [one for one in moves if one[0] > seen.get(one[2], 0)]}


def stock_around(value: Any, published: Sequence[Row], move: Move) -> tuple[int, int] | None:
    """The stock of a region before and after a movement, by the time of what is known.

    None where no stock is kept, or the published level holds the movement already.
    """
    at, event_id, region, units, _ = move
    base = next((row for row in published if row["region"] == region), None)
    if base is not None and _at(base["changed_at"]) >= at:
        return None
    here = [one for one in value["moves"] if one[2] == region and _stamp(one) <= (at, event_id)]
    if base is None and not any(one[4] for one in here):
        return None
    after = (base["quantity"] if base else 0) + sum(one[3] for one in here)
    return after - units, after


def levels(published: Iterable[Row], value: Any) -> list[Row]:
    """The stock of an item by region: what is published, and what has moved since."""
    rows = {row["region"]: dict(row) for row in published}
    seen = {region: _at(row["changed_at"]) for region, row in rows.items()}
    moves = value["moves"] if value else []
    kept = set(rows) | {one[2] for one in moves if one[4]}
    for at, _, region, units, _ in moves:
        if region in kept and at > seen.get(region, 0):
            row = rows.setdefault(region, {"region": region, "quantity": 0})
            row["quantity"] += units
            row["changed_at"] = iso(at)
    return [rows[region] for region in sorted(rows)]


def shortage(rows: Iterable[Row], under: int) -> Any:
    """Where an item has fewer units than `under`, and whether that is everywhere."""
    rows = list(rows)
    low = {row["region"]: row["quantity"] for row in rows if row["quantity"] < under}
    return {"regions": low, "everywhere": len(low) == len(rows) > 0}


def with_purchase(value: Any, item_id: str, at: int) -> Any:
    """When a customer last bought each item, the latest items."""
    items = dict(value["items"]) if value else {}
    items[item_id] = max(at, items.get(item_id, 0))
    kept = nlargest(KEPT_BOUGHT, items.items(), key=lambda pair: (pair[1], pair[0]))
    return {"items": dict(sorted(kept))}


def with_click(value: Any, stamp: Stamp, item_id: str, category: str) -> Any:
    """The last clicks of a visit or a customer."""
    clicks = value["clicks"] if value else ()
    return {"clicks": _joined(clicks, [*stamp, item_id, category], KEPT_CLICKS)}


def _joined(entries: Sequence[Sequence[Any]], one: Sequence[Any], count: int) -> list[Any]:
    """The newest entries, one more among them, each event once; the newest last.

    They begin with time and event id.
    """
    place = bisect_left(entries, _stamp(one), key=_stamp)
    if place < len(entries) and _stamp(entries[place]) == _stamp(one):
        return list(entries)
    return [*entries[:place], list(one), *entries[place:]][-count:]


def _stamp(entry: Sequence[Any]) -> Stamp:
    return entry[0], entry[1]


def _seen(published: Iterable[Row]) -> dict[str, int]:
    return {row["region"]: _at(row["changed_at"]) for row in published}


def _at(text: str) -> int:
    return microseconds(datetime.fromisoformat(text))
