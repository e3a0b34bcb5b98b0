"""What the recommender may know at a moment, and that nothing later ever reaches it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from expect import assert_rows
from pyspark.sql import DataFrame

from ml.features import (
    before,
    bought_between,
    histories_at,
    item_statistics,
    lines,
    moments,
    pairs,
    region_shares,
    visits,
)
from pipelines.silver.purchases import PURCHASES

START = datetime(2017, 3, 1)
JUST_BEFORE = START - timedelta(microseconds=1)


def bought(
    customer: str | None, item: str, basket: str, at: datetime, **more: object
) -> dict[str, object]:
    return {
        "customer_id": customer,
        "item_id": item,
        "basket_id": basket,
        "occurred_at": at,
        "region": "north",
        "category": "food",
        "quantity": 1,
        "amount_cents": 100,
        **more,
    }


def test_two_lines_of_one_basket_are_one_and_guests_are_left_out(rows) -> None:
    given = [
        bought("c1", "milk", "b1", START, amount_cents=100),
        bought("c1", "milk", "b1", START, amount_cents=150),
        bought(None, "milk", "b2", START),
    ]
    assert_rows(
        lines(rows(PURCHASES, given)),
        [{"customer_id": "c1", "item_id": "milk", "amount_cents": 250, "quantity": 2}],
    )


def test_pairs_hold_counts_and_ages_in_days(rows) -> None:
    given = [
        bought("c1", "milk", "b1", START - timedelta(days=30)),
        bought("c1", "milk", "b2", START - timedelta(days=120)),
        bought("c2", "milk", "b3", JUST_BEFORE),
    ]
    found = {
        row["customer_id"]: row for row in pairs(lines(rows(PURCHASES, given)), START).collect()
    }
    one = found["c1"]
    assert (one["baskets"], one["first_age"], one["last_age"]) == (2, 120, 30)
    assert one["recent"] == pytest.approx(0.5 + 0.5**4)
    assert one["lasting"] == pytest.approx(0.5**0.25 + 0.5)
    assert found["c2"]["last_age"] == pytest.approx(0, abs=1e-6)


def test_visits_count_baskets_and_name_the_usual_region(rows) -> None:
    given = [
        bought("c1", "milk", "b1", START - timedelta(days=5)),
        bought("c1", "bread", "b1", START - timedelta(days=5)),
        bought("c1", "milk", "b2", START - timedelta(days=40), region="south"),
        bought("c1", "milk", "b3", START - timedelta(days=50), region="south"),
    ]
    assert_rows(
        visits(lines(rows(PURCHASES, given)), START),
        [
            {
                "customer_id": "c1",
                "visits": 3.0,
                "recent_visits": 1.0,
                "last_visit_age": 5.0,
                "region": "south",
            }
        ],
    )


def test_items_are_numbered_by_their_buyers_with_shares_of_those_who_bought(rows) -> None:
    given = [
        bought("c1", "milk", "b1", START - timedelta(days=3)),
        bought("c1", "milk", "b2", START - timedelta(days=9), category="old"),
        bought("c2", "milk", "b3", START - timedelta(days=40), amount_cents=400),
        bought("c2", "bread", "b4", START - timedelta(days=40)),
        bought("c3", "salt", "b5", START - timedelta(days=90)),
    ]
    seen = lines(rows(PURCHASES, given))
    found = item_statistics(pairs(seen, START), seen).orderBy("item").collect()
    assert [row["item_id"] for row in found] == ["milk", "bread", "salt"]
    milk = found[0]
    assert (milk["category"], milk["buyers"], milk["repeated"]) == ("food", 2, 0.5)
    assert milk["customers"] == pytest.approx(2 / 3)
    assert (milk["week"], milk["month"], milk["two_months"]) == (1, 1, 1)
    assert (milk["age"], milk["price"]) == (40, 200)
    assert (found[1]["month"], found[1]["two_months"]) == (0, 0.5)


def test_shares_of_a_region_are_of_its_own_customers_of_late(rows) -> None:
    given = [
        bought("c1", "milk", "b1", START - timedelta(days=3)),
        bought("c2", "bread", "b2", START - timedelta(days=3)),
        bought("c3", "milk", "b3", START - timedelta(days=3), region="south"),
        bought("c4", "milk", "b4", START - timedelta(days=60), region="south"),
    ]
    assert_rows(
        region_shares(lines(rows(PURCHASES, given)), START),
        [
            {"region": "north", "item_id": "milk", "share": 0.5},
            {"region": "north", "item_id": "bread", "share": 0.5},
            {"region": "south", "item_id": "milk", "share": 1.0},
        ],
    )


def test_histories_list_known_items_in_the_order_of_their_numbers(rows) -> None:
    given = [
        bought("c1", "salt", "b1", START - timedelta(days=1)),
        bought("c1", "milk", "b1", START - timedelta(days=1)),
        bought("c1", "unknown", "b1", START - timedelta(days=1)),
        bought("c1", "salt", "b2", START - timedelta(days=8)),
    ]
    row = histories_at(lines(rows(PURCHASES, given)), START, ["milk", "bread", "salt"]).collect()[0]
    assert (row["item"], row["baskets"], row["visits"]) == ([0, 2], [1, 2], 2)


def test_periods_end_with_the_last_purchase_newest_first() -> None:
    assert moments(datetime(2017, 12, 31), 4, 2) == [datetime(2017, 12, 3), datetime(2017, 11, 5)]


def test_what_is_seen_and_what_is_asked_have_no_event_in_common(rows) -> None:
    given = [
        bought(f"c{n % 3}", f"i{n % 4}", f"b{n}", START + timedelta(hours=n - 12))
        for n in range(24)
    ]
    all_rows = lines(rows(PURCHASES, given))
    seen = before(all_rows, START)
    end = START + timedelta(days=1)
    asked = all_rows.join(seen, ["customer_id", "basket_id", "item_id"], "left_anti")
    assert seen.count() + asked.count() == 24
    later = {(row["customer_id"], row["item_id"]) for row in asked.collect()}
    wanted = bought_between(all_rows, START, end).collect()
    assert {tuple(row) for row in wanted} == later and len(wanted) == len(later)


def everything_known(seen: DataFrame) -> dict[str, list[Any]]:
    """All that a model and its features are made of at START."""
    known = before(seen, START)
    bought_pairs = pairs(known, START)
    items = item_statistics(bought_pairs, known)
    ids = [row["item_id"] for row in items.orderBy("item").collect()]
    frames = {
        "pairs": bought_pairs,
        "items": items,
        "visits": visits(known, START),
        "regions": region_shares(known, START),
        "histories": histories_at(seen, START, ids),
    }
    return {name: sorted(map(repr, frame.collect())) for name, frame in frames.items()}


def test_no_feature_changes_with_what_comes_later(rows) -> None:
    """The leak test: another future, with other items, prices, regions and customers."""
    past = [
        bought(f"c{n % 5}", f"i{n % 7}", f"b{n}", START - timedelta(days=1 + n % 70, hours=n))
        for n in range(60)
    ]
    future = [
        bought(
            f"c{n % 9}",
            f"i{n % 11}",
            f"f{n}",
            START + timedelta(hours=n),
            region="south",
            category="other",
            amount_cents=9000,
        )
        for n in range(60)
    ]
    alone = everything_known(lines(rows(PURCHASES, past)))
    with_future = everything_known(lines(rows(PURCHASES, past + future)))
    assert alone == with_future
    moved = [row | {"occurred_at": JUST_BEFORE} for row in future[:1]]
    assert everything_known(lines(rows(PURCHASES, past + moved))) != alone
