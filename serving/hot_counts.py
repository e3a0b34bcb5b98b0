"""What sells and what gathers pace just now, counted exactly over sliding windows; no I/O.

"Now" is the newest event, as in the gold views, never the clock.
"""

import json
import math
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from typing import Any

ALL = "*"
NO_CATEGORY = "UNKNOWN"
_STEPS = 288  # of a window: what leaves one leaves it in steps of five minutes a day
_MOST = 1_000_000_000_00
_MOST_UNITS = 1_000_000
_FEW = 10_000  # ids are let go of no more often than their number doubles

Sums = list[int]  # events, units, revenue in cents


@dataclass(frozen=True, slots=True)
class HotEvent:
    """A click or a purchase: what of it is counted; `at` in seconds since 1970."""

    event_id: str
    at: float
    item_id: str
    category: str
    region: str
    units: int
    revenue_cents: int

    @property
    def places(self) -> tuple[str, ...]:
        """The lists that it counts for: of its category and region, of one of them, of all."""
        category, region = self.category, self.region
        return (
            f"{category}|{region}", f"{category}|{ALL}", f"{ALL}|{region}", f"{ALL}|{ALL}",
        )  # fmt: skip


def hot_event(payload: bytes | None, received_at: float) -> HotEvent | None:
    """The click or purchase that a payload is, or None.

    Args:
        payload: JSON, as a producer sent it.
        received_at: when the broker took it in; an event cannot be later than that, so a producer
            whose clock is ahead cannot move the window away from the others' events.
    """
    try:
        event = json.loads(payload or b"")
        kind = event["event_type"]
        if kind not in ("click", "purchase"):
            return None
        bought = kind == "purchase"
        units = int(event["quantity"]) if bought else 0
        paid = event.get("amount_cents") if bought else 0
        cents = units * int(event["price_cents"]) if paid is None else int(paid)
        at = datetime.fromisoformat(event["occurred_at"])
        found = HotEvent(
            event_id=event["event_id"],
            at=min(at.timestamp(), received_at) if at.tzinfo else math.nan,
            item_id=event["item_id"],
            category=event.get("category") or NO_CATEGORY,
            region=event["region"],
            units=units,
            revenue_cents=cents,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None
    return found if _is_sound(found, bought) else None


def _is_sound(event: HotEvent, bought: bool) -> bool:
    texts = (event.event_id, event.item_id, event.category, event.region)
    is_text = all(isinstance(t, str) and 0 < len(t) <= 128 and "|" not in t for t in texts)
    least = 1 if bought else 0
    in_range = least <= event.units <= _MOST_UNITS and 0 <= event.revenue_cents <= _MOST
    return is_text and in_range and event.at == event.at


@dataclass
class Window:
    """Sums by place and item over the last `seconds` of event time.

    An event leaves with its step, a 288th of the window, all at once.
    """

    seconds: float
    sums: dict[str, dict[str, Sums]] = field(default_factory=lambda: defaultdict(dict))
    _steps: dict[int, list[HotEvent]] = field(default_factory=dict)
    _order: deque[int] = field(default_factory=deque)
    _first: int = -(1 << 62)

    def add(self, event: HotEvent) -> Iterable[str]:
        """Count an event, unless it lies before the window; the places that changed."""
        step = self._step(event.at)
        if step < self._first:
            return ()
        if step not in self._steps:
            self._steps[step] = []
            self._order.append(step)
        self._steps[step].append(event)
        self._change(event, 1)
        return event.places

    def advance(self, now: float) -> set[str]:
        """Let go of what lies before the window that ends at `now`; the places that changed."""
        self._first = self._step(now) - _STEPS + 1
        changed: set[str] = set()
        for step in [step for step in self._order if step < self._first]:
            self._order.remove(step)
            for event in self._steps.pop(step):
                self._change(event, -1)
                changed.update(event.places)
        return changed

    def _step(self, at: float) -> int:
        return math.floor(at * _STEPS / self.seconds)

    def _change(self, event: HotEvent, sign: int) -> None:
        for place in event.places:
            items = self.sums[place]
            counted = items.setdefault(event.item_id, [0, 0, 0])
            counted[0] += sign
            counted[1] += sign * event.units
            counted[2] += sign * event.revenue_cents
            if not counted[0]:
                del items[event.item_id]
                if not items:
                    del self.sums[place]


class HotCounts:
    """The lists of every place, as of the newest event.

    Args:
        window_s: top sellers are counted over so many seconds, which is also how long an
            `event_id` is remembered.
        trend_s: what trends is the count of the last so many seconds beside the usual one.
        keep: items in a list.
    """

    def __init__(self, window_s: float, trend_s: float, keep: int) -> None:
        self._long, self._short, self._keep = Window(window_s), Window(trend_s), keep
        self._usual = window_s / trend_s - 1  # spans of `trend_s` before the last one
        self._seen: dict[str, float] = {}
        self._full = _FEW
        self._changed: set[str] = set()
        self.newest = -math.inf

    def add(self, event: HotEvent) -> None:
        """Count an event once, however often it comes."""
        if event.event_id in self._seen or event.at <= self.newest - self._long.seconds:
            return
        self._seen[event.event_id] = event.at
        self.newest = max(self.newest, event.at)
        self._changed.update(self._long.add(event))
        self._changed.update(self._short.add(event))

    def changes(self) -> Iterator[tuple[str, list[dict[str, Any]], list[dict[str, Any]]]]:
        """Place, top sellers and trending of every place that changed since the last call."""
        if self.newest == -math.inf:
            return
        self._changed |= self._long.advance(self.newest) | self._short.advance(self.newest)
        oldest = self.newest - self._long.seconds
        if len(self._seen) > self._full:
            self._seen = {key: at for key, at in self._seen.items() if at > oldest}
            self._full = max(_FEW, 2 * len(self._seen))
        changed, self._changed = self._changed, set()
        for place in sorted(changed):
            yield place, self._sellers(place), self._trending(place)

    def _sellers(self, place: str) -> list[dict[str, Any]]:
        """The most units first; ties go to the higher revenue, then the lower id."""
        items = self._long.sums.get(place, {})
        sold = ((-units, -cents, item) for item, (_, units, cents) in items.items() if units)
        return [
            {"item_id": item, "units": -units, "revenue_cents": -cents}
            for units, cents, item in nsmallest(self._keep, sold)
        ]

    def _trending(self, place: str) -> list[dict[str, Any]]:
        """The furthest above their usual count first, by the formula of gold.trending_items."""
        before: Mapping[str, Sums] = self._long.sums.get(place, {})
        scored = []
        for item, (count, _, _) in self._short.sums.get(place, {}).items():
            usual = (before.get(item, (count,))[0] - count) / self._usual
            scored.append(((usual - count) / math.sqrt(usual + 1), -count, item, usual))
        return [
            {"item_id": item, "event_count": -count, "usual_count": usual, "score": -score}
            for score, count, item, usual in nsmallest(self._keep, scored)
        ]
