"""What a request may ask of recommendations holds for every item of the list."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from given_model import AT, HISTORY, release, some_model

from serving.live_values import BOUGHT, PRICES, STOCK, with_move, with_price
from serving.lmdb_store import LmdbStore
from serving.recommender.champion import Champion
from serving.server import BackgroundServer
from serving.times import microseconds

ITEMS = [str(item) for item in some_model().item_ids]
CHEAP, KEPT = ITEMS[:20], ITEMS[10:30]
LATER = microseconds(AT + timedelta(hours=1))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LmdbStore]:
    """Forty items: the first twenty cost 100 in the north, i10 to i29 are in stock in the south."""
    opened = LmdbStore(tmp_path / "online")
    opened.publish("histories", [("c1", HISTORY)], version="1", published_at=AT)
    price = {"region": "north", "currency": "USD", "changed_at": AT.isoformat()}
    prices = [
        (item, {"prices": [price | {"price_cents": 100 if item in CHEAP else 900}]})
        for item in ITEMS
    ]
    opened.publish("prices", prices, version="1", published_at=AT)
    level = {"region": "south", "changed_at": AT.isoformat()}
    levels = [
        (item, {"levels": [level | {"quantity": 3 if item in KEPT else 0}]}) for item in ITEMS
    ]
    opened.publish("inventory", levels, version="1", published_at=AT)
    release(opened, tmp_path / "models", "1", seed=1)
    yield opened
    opened.close()


@pytest.fixture
def ask(store: LmdbStore, tmp_path: Path) -> Iterator[Any]:
    """The item ids of a list of the customer."""
    with (
        BackgroundServer(store, champion=Champion(store, tmp_path / "models")) as server,
        httpx.Client(base_url=server.url) as client,
    ):

        def run(path: str = "/v1/recommendations/c1", **asked: object) -> list[str]:
            answer = client.get(path, params={"k": 40, **asked})
            assert answer.status_code == 200, answer.text
            assert all(item["reason"] for item in answer.json()["items"])
            return [item["item_id"] for item in answer.json()["items"]]

        yield run


def test_prices_and_stock_are_those_of_the_region_that_is_asked_for(ask: Any) -> None:
    assert set(ask()) - set(CHEAP) and set(ask()) - set(KEPT)
    assert ask(max_price_cents=100) and set(ask(max_price_cents=100)) <= set(CHEAP)
    assert ask(min_price_cents=101) and not set(ask(min_price_cents=101)) & set(CHEAP)
    assert ask(in_stock=True) and set(ask(in_stock=True)) <= set(KEPT)
    assert ask(max_price_cents=100, region="south") == [], "no price is known there"
    assert ask(in_stock=True, region="north") == []
    assert ask(min_price_cents=200, max_price_cents=100) == []


def test_what_was_bought_a_category_and_how_many_of_each_can_be_asked_for(ask: Any) -> None:
    assert "i3" in ask() and not {"i1", "i3"} & set(ask(new_only=True))
    model = some_model()
    numbers = {item: n for n, item in enumerate(ITEMS)}
    of = [int(model.category[numbers[item]]) for item in ask(category="tools")]
    assert of and set(of) == {model.category_of["tools"]}
    counted = Counter(int(model.category[numbers[item]]) for item in ask(per_category=2))
    assert counted and max(counted.values()) <= 2
    assert ask(category="nowhere") == []


def test_a_price_and_a_stock_of_seconds_ago_count_at_once(ask: Any, store: LmdbStore) -> None:
    one = ask(in_stock=True, max_price_cents=100)[0]
    dear = with_price(None, "north", (LATER, "e1"), 5000, "USD")
    store.update(PRICES, {one: dear}, at=AT)
    assert one not in ask(max_price_cents=100) and one in ask(min_price_cents=5000)
    gone = with_move(None, [], (LATER, "e2", "south", -3, 0))
    store.update(STOCK, {one: gone}, at=AT)
    assert one in ask() and one not in ask(in_stock=True)


def test_what_is_on_the_rise_can_be_asked_for_under_the_same_conditions(
    ask: Any, store: LmdbStore
) -> None:
    model = some_model()

    def rise(**asked: object) -> list[str]:
        return ask("/v1/trending-for-you", **{"customer_id": "c1", **asked})

    rising = rise()
    assert {"i1", "i3"} & set(rising) and set(rising) - set(CHEAP) and set(rising) - set(KEPT)
    assert rise(k=3) == rising[:3]
    assert set(rise(max_price_cents=100)) == set(rising) & set(CHEAP)
    assert set(rise(in_stock=True)) == set(rising) & set(KEPT)
    assert set(rise(new_only=True)) == set(rising) - {"i1", "i3"}
    of = {item: int(model.category[n]) for n, item in enumerate(ITEMS)}
    assert {of[item] for item in rise(category="tools")} == {model.category_of["tools"]}
    assert max(Counter(of[item] for item in rise(per_category=1)).values()) == 1
    assert rise(category="nowhere") == []
    store.update(BOUGHT, {"c1": {"items": {rising[0]: 1}}}, at=AT)
    assert rising[0] not in rise()
