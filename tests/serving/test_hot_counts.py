"""Hot lists are what counting the window anew gives, whatever the order and the repetitions."""

import json
import math
from collections import Counter
from typing import Any

import pytest
from given import event
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.hot_counts import HotCounts, HotEvent, Window, hot_event

AT = "2026-03-08T20:00:00Z"
AT_S = 1773000000.0
HOUR, DAY = 3600.0, 86400.0
PLACES = st.sampled_from(["A", "B"])
events = st.lists(
    st.builds(
        HotEvent,
        event_id=st.uuids().map(str),
        at=st.floats(0, 3 * DAY),
        item_id=st.sampled_from("abcd"),
        category=PLACES,
        region=PLACES,
        units=st.integers(0, 3),
        revenue_cents=st.integers(0, 100),
    ),
    max_size=40,
)


def payload(**fields: Any) -> bytes:
    return json.dumps(event("purchase", 1, occurred_at=AT, **fields)).encode()


def lists(counts: HotCounts) -> dict[str, Any]:
    return {place: (best, rising) for place, best, rising in counts.changes()}


def full(told: dict[str, Any]) -> dict[str, Any]:
    return {place: both for place, both in told.items() if any(both)}


def recounted(found: list[HotEvent], place: str) -> list[tuple[str, int, int]]:
    """Top sellers of a place, counted from nothing."""
    window = Window(DAY)
    newest = max(event.at for event in found)
    first = window._step(newest) - 287
    units: Counter[str] = Counter()
    cents: Counter[str] = Counter()
    for one in found:
        if window._step(one.at) >= first and place in one.places:
            units[one.item_id] += one.units
            cents[one.item_id] += one.revenue_cents
    ranked = sorted((-n, -cents[item], item) for item, n in units.items() if n)
    return [(item, -n, -c) for n, c, item in ranked[:3]]


@settings(max_examples=80, deadline=None)
@given(events, st.randoms(use_true_random=False))
def test_lists_equal_a_recount_whatever_the_order(found: list[HotEvent], random: Any) -> None:
    shuffled = [*found, *random.sample(found, len(found) // 2)]
    random.shuffle(shuffled)
    counts = HotCounts(DAY, HOUR, keep=3)
    kept: dict[str, Any] = {}
    for number, one in enumerate(shuffled):
        counts.add(one)
        if number % 5 == 0:
            kept |= lists(counts)
    kept |= lists(counts)
    assert lists(counts) == {}  # nothing has changed since
    for place in {place for one in found for place in one.places}:
        listed, _ = kept.get(place, ([], []))
        best = [(one["item_id"], one["units"], one["revenue_cents"]) for one in listed]
        assert best == recounted(found, place)
    again = HotCounts(DAY, HOUR, keep=3)
    for one in found:
        again.add(one)
    assert full(kept) == full(lists(again))  # a restart changes nothing


def test_what_trends_stands_out_from_its_own_day() -> None:
    counts = HotCounts(DAY, HOUR, keep=5)
    number = 0

    def views(item: str, hour: int, count: int) -> None:
        nonlocal number
        for _ in range(count):
            number += 1
            counts.add(HotEvent(str(number), DAY + hour * HOUR + 1, item, "A", "x", 0, 0))

    for hour in range(24):
        views("steady", hour, 10)
        views("rising", hour, 2 if hour < 23 else 12)
    (rising, steady) = lists(counts)["*|*"][1]
    assert (rising["item_id"], rising["event_count"], rising["usual_count"]) == ("rising", 12, 2.0)
    assert rising["score"] == pytest.approx(10 / math.sqrt(3))
    assert (steady["item_id"], steady["score"]) == ("steady", 0)


def test_a_click_or_purchase_is_read_and_never_later_than_it_came() -> None:
    read = hot_event(payload(), AT_S + 5)
    assert read is not None
    assert (read.at, read.units, read.revenue_cents) == (AT_S, 2, 300)
    assert read.places == ("DAIRY|north", "DAIRY|*", "*|north", "*|*")
    paid = hot_event(payload(amount_cents=250), AT_S)
    assert paid is not None and paid.revenue_cents == 250
    early = hot_event(payload(), AT_S - 60)
    assert early is not None and early.at == AT_S - 60
    plain = hot_event(json.dumps(event("click", 1, category=None)).encode(), AT_S)
    assert plain is not None and (plain.category, plain.units) == ("UNKNOWN", 0)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        b"",
        b"\xff",
        b"[]",
        b"1",
        b"[" * 100_000,
        json.dumps(event("price_change", 1)).encode(),
        payload(quantity=0),
        payload(quantity=10**9),
        payload(quantity=None),
        payload(quantity="many"),
        payload(price_cents=-1),
        payload(region="a|b"),
        payload(region=""),
        payload(region=7),
        payload(item_id=["i1"]),
        payload(item_id="i" * 129),
        payload(event_id=None),
        payload().replace(b"2026-03-08T20:00:00Z", b"2026-03-08T20:00:00"),
        payload().replace(b"2026-03-08T20:00:00Z", b"yesterday"),
    ],
)
def test_what_is_no_such_event_is_passed_over(bad: bytes | None) -> None:
    assert hot_event(bad, AT_S) is None
