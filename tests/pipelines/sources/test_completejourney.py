import json
import uuid
from collections import Counter
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines.errors import SourceError
from pipelines.sources.completejourney import events, fingerprint
from pipelines.sources.completejourney_data import WEEK, Journey, data_dir, read_journey
from pipelines.sources.completejourney_derived import price_changes, sample
from pipelines.sources.completejourney_promotions import FIRST_MONDAY, promotions

LIMIT = 20_000


@pytest.fixture(scope="module")
def payloads() -> list[tuple[bytes, bytes]]:
    return list(events(limit=LIMIT))


@pytest.fixture(scope="module")
def parsed(payloads: list[tuple[bytes, bytes]]) -> list[dict[str, Any]]:
    return [json.loads(payload) for _, payload in payloads]


@pytest.fixture(scope="module")
def journey() -> Journey:
    return read_journey()


def test_a_sample_is_about_as_large_as_asked_and_holds_everything(
    parsed: list[dict[str, Any]],
) -> None:
    assert 0.9 * LIMIT < len(parsed) < 1.1 * LIMIT
    kinds = Counter(event["event_type"] for event in parsed)
    assert set(kinds) == {
        "click",
        "purchase",
        "price_change",
        "inventory_change",
        "promotion",
        "item_upsert",
    }
    assert kinds["click"] > 4_000 and kinds["purchase"] > 4_000
    items = {event["item_id"] for event in parsed if event["event_type"] == "item_upsert"}
    named = {event["item_id"] for event in parsed if "category" in event}
    assert named <= items


def test_the_same_seed_gives_the_same_bytes(payloads: list[tuple[bytes, bytes]]) -> None:
    assert list(events(limit=LIMIT)) == payloads
    assert list(events(limit=LIMIT, seed=18)) != payloads
    assert fingerprint(17, LIMIT) == fingerprint(limit=LIMIT) != fingerprint(18, LIMIT)


def test_items_come_first_then_time_order_but_for_resent_clicks(
    payloads: list[tuple[bytes, bytes]], parsed: list[dict[str, Any]]
) -> None:
    is_item = [event["event_type"] == "item_upsert" for event in parsed]
    assert is_item == sorted(is_item, reverse=True)
    seen: set[bytes] = set()
    times, resent = [], 0
    for (key, payload), event in zip(payloads, parsed, strict=True):
        assert key.decode() == event["item_id"]
        if payload in seen:
            assert event["event_type"] == "click"
            resent += 1
        else:
            times.append(event["occurred_at"])
        seen.add(payload)
    assert times == sorted(times)
    clicks = sum(event["event_type"] == "click" for event in parsed)
    assert 0.0005 < resent / clicks < 0.005
    assert len({event["event_id"] for event in parsed}) == len(parsed) - resent


def test_ids_are_uuids_and_the_simulated_is_marked(parsed: list[dict[str, Any]]) -> None:
    for event in parsed:
        assert uuid.UUID(event["event_id"]).version == 8
        is_simulated = event["event_type"] in ("click", "inventory_change")
        assert event.get("attributes", {}).get("simulated", False) == is_simulated


def test_a_purchase_of_a_sample_is_the_same_event_in_the_full_stream(
    parsed: list[dict[str, Any]], journey: Journey
) -> None:
    lines = journey.lines
    for event in [event for event in parsed if event["event_type"] == "purchase"][:200]:
        row = int(event["event_id"].rpartition("-")[2], 16)
        assert lines.row[row] == row
        assert event["amount_cents"] == lines.amount_cents[row]
        assert event["price_cents"] == lines.price_cents[row]
        assert event["item_id"] == str(journey.product_ids[lines.product[row]])


def test_promotions_are_those_of_half_the_stores_that_report(journey: Journey) -> None:
    promoted = promotions(journey)
    assert len(promoted.at) == 235_469
    assert promoted.stores.min() == 8 and promoted.stores.max() == 15
    most = np.maximum(promoted.display_stores, promoted.mailer_stores)
    assert (2 * most >= promoted.stores).all() and (most <= promoted.stores).all()
    assert Counter(promoted.placement.tolist()) == {
        "mailer": 176_495,
        "display": 29_958,
        "both": 29_016,
    }
    weeks = np.unique(promoted.at)
    assert len(weeks) == 53 and (weeks[1:] % WEEK == weeks[1] % WEEK).all()
    assert (promoted.duration_days[promoted.at > weeks[0]] == 7).all()
    assert (promoted.duration_days[promoted.at == weeks[0]] == 1).all()  # the year's first Sunday
    assert (np.diff(promoted.at) >= 0).all()


def test_a_promotion_of_one_product_is_what_the_file_says(journey: Journey) -> None:
    promoted = promotions(journey)
    at = len(promoted.at) // 2
    week = (promoted.at[at] - FIRST_MONDAY) // WEEK + 1
    product = journey.product_ids[promoted.product[at]]
    lines = journey.lines
    stores = np.unique(lines.store[lines.region == promoted.region[at]])
    rows = pq.read_table(
        data_dir() / "promotions.parquet",
        filters=[
            ("product_id", "=", product),
            ("week", "=", week),
            ("store_id", "in", journey.store_ids[stores].tolist()),
        ],
    ).to_pylist()
    displayed = {row["store_id"] for row in rows if row["display_location"] != "0"}
    mailed = {row["store_id"] for row in rows if row["mailer_location"] != "0"}
    assert len(displayed) == promoted.display_stores[at]
    assert len(mailed) == promoted.mailer_stores[at]


def test_the_full_year_holds_every_line_and_product(journey: Journey) -> None:
    assert len(journey.lines.at) == 1_469_307
    assert sum(row is not None for row in journey.products) == 92_331
    revenue = np.bincount(journey.lines.region, journey.lines.amount_cents)
    assert len(revenue) == 11 and revenue[0] == 0
    assert revenue.max() < 0.15 * revenue.sum() and revenue[1:].min() > 0.05 * revenue.sum()
    assert (journey.lines.quantity == 0).sum() == 8_869


def test_goods_sold_by_weight_are_told_from_price_changes(journey: Journey) -> None:
    code = {one: at for at, one in enumerate(journey.product_ids.tolist())}
    assert journey.weighed[code[1082185]]  # bananas: 0.18 to 1.56 in ten days
    assert not journey.weighed[code[994928]]  # eggs: 23 prices over the year, one a day and shop
    assert journey.weighed[journey.fuel].all()
    changes = price_changes(journey.lines, journey.weighed)
    assert not journey.weighed[changes.product].any() and changes.price_cents.min() > 0


def test_a_price_change_is_the_first_price_or_another_one(journey: Journey) -> None:
    lines = sample(journey.lines, 5_000, 17, np.zeros_like(journey.lines.at))
    changes = price_changes(lines, journey.weighed)
    last: dict[tuple[int, int], int] = {}
    for product, region, price in zip(
        changes.product.tolist(), changes.region.tolist(), changes.price_cents.tolist(), strict=True
    ):
        assert last.get((product, region)) != price
        last[product, region] = price


def test_a_limit_too_small_for_a_purchase_is_refused() -> None:
    with pytest.raises(SourceError, match="--limit 1000"):
        next(events(limit=1))
