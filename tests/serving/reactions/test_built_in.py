"""What each built-in reaction does to the answers of the API."""

from collections.abc import Iterator

import httpx
import pytest
from given import event
from reacted import Shop, at, bought, clicked, moved, price
from shop import AT, ITEM, KINDS

from serving import live_values as values
from serving.server import BackgroundServer


@pytest.fixture
def client(shop: Shop) -> Iterator[httpx.Client]:
    with BackgroundServer(shop.store) as server, httpx.Client(base_url=server.url) as client:
        yield client


def offered(client: httpx.Client, query: str = "", customer: str = "c1") -> list[str]:
    answer = client.get(f"/v1/recommendations/{customer}?k=100{query}")
    assert answer.status_code == 200, answer.text
    return [item["item_id"] for item in answer.json()["items"]]


def test_a_price_is_told_at_once_and_only_in_its_region(shop: Shop, client: httpx.Client) -> None:
    shop.react(price(1, 149))
    answer = client.get("/v1/prices/i1").json()
    told = {row["region"]: (row["price_cents"], row["changed_at"]) for row in answer["prices"]}
    assert told == {"north": (149, at(1)), "south": (199, "2026-01-01T00:00:00Z")}
    assert (answer["version"], answer["as_of"]) == ("v-prices", at(1))
    shop.react(price(2, 139, item_id="i9"))
    assert client.get("/v1/prices/i9").json()["prices"][0]["price_cents"] == 139


def test_a_publish_neither_undoes_a_newer_price_nor_is_undone(
    shop: Shop, client: httpx.Client
) -> None:
    shop.react(price(60, 149))
    for changed_at, cents in ((at(30), 149), (at(90), 120)):
        row = {"region": "north", "price_cents": 120, "currency": "USD", "changed_at": changed_at}
        entries = [("i1", {"prices": [row]})]
        shop.store.publish("prices", entries, version=changed_at, published_at=AT)
        assert client.get("/v1/prices/i1?region=north").json()["prices"][0]["price_cents"] == cents


def test_stock_is_told_at_once_and_not_twice(shop: Shop, client: httpx.Client) -> None:
    shop.react(bought(1, 3), moved(2, 10), bought(1, 3))
    shop.react(moved(2, 10), moved(3, 4, item_id="i9"), bought(4, 1, item_id="i8"))
    levels = client.get("/v1/inventory/i1").json()["levels"]
    assert [(row["region"], row["quantity"]) for row in levels] == [("north", 19), ("south", 12)]
    assert client.get("/v1/inventory/i9").json()["levels"][0]["quantity"] == 4
    assert client.get("/v1/inventory/i8").status_code == 404  # sold, and its stock is not kept
    row = {"region": "north", "quantity": 100, "changed_at": at(1)}
    shop.store.publish("inventory", [("i1", {"levels": [row]})], version="2", published_at=AT)
    assert client.get("/v1/inventory/i1").json()["levels"][0]["quantity"] == 110


def test_what_runs_low_is_alerted_once_and_leaves_recommendations(
    shop: Shop, client: httpx.Client
) -> None:
    shop.react(moved(1, 9, item_id="i3"), moved(2, 9, item_id="i3", region="south"))
    assert "i3" in offered(client)
    shop.react(bought(3, 6, item_id="i3", customer_id="c9"))
    assert "i3" in offered(client) and "i3" not in offered(client, "&region=north")
    shop.react(bought(4, 6, item_id="i3", customer_id="c9", region="south"))
    assert "i3" not in offered(client) and "i3" not in offered(client, "&region=south")
    shop.react(bought(5, 1, item_id="i3", customer_id="c9"))
    alerts = shop.messages()
    told = [(one["alert"], one["item_id"], one["region"], one["quantity"]) for one in alerts]
    assert told == [("stock_low", "i3", "north", 3), ("stock_low", "i3", "south", 3)]
    assert {topic for topic, _, _ in shop.sent} == {"alerts"}
    shop.react(moved(6, 50, item_id="i3"))
    assert "i3" in offered(client) and "i3" not in offered(client, "&region=south")


def test_what_a_customer_bought_is_not_offered_again(shop: Shop, client: httpx.Client) -> None:
    shop.react(bought(1, item_id="i2"), bought(2, item_id="p0", customer_id=None))
    assert offered(client) == [f"i{n}" for n in range(20) if n != 2]
    assert "p0" in offered(client, customer="c2")


def test_what_was_clicked_draws_later_recommendations(shop: Shop, client: httpx.Client) -> None:
    bread = {**ITEM, "category": "BREAD"}
    alike = [{"item_id": f"x{n}", **bread} for n in range(9)]
    own = [{"item_id": f"i{n}", **(bread if n == 7 else ITEM)} for n in range(20)]
    shop.store.publish("similar", [("i7", {"items": alike})], version="2", published_at=AT)
    shop.store.publish("recommendations", [("c1", {"items": own})], version="2", published_at=AT)
    shop.react(clicked(1, item_id="i7", category="BREAD", customer_id=None))
    assert offered(client) == [f"i{n}" for n in range(20)]  # another visit
    led = offered(client, "&session_id=s1")
    assert led[:2] == ["x0", "i0"] and led.index("i7") < led.index("i4") and len(led) == 25
    shop.react(clicked(2, item_id="i7", category="BREAD"))
    assert offered(client) == led
    first = client.get("/v1/recommendations/c1?k=1").json()["items"][0]
    assert first["reason"] == "like what you looked at"


def test_a_guest_with_clicks_leans_from_what_is_popular(shop: Shop, client: httpx.Client) -> None:
    shop.react(clicked(1, item_id="i1", customer_id=None))
    found = offered(client, "&session_id=s1", customer="nobody")
    assert found[:3] == ["i0", "p0", "i1"] and set(found) >= {f"p{n}" for n in range(20)}


def test_lists_stay_short(shop: Shop) -> None:
    for start in range(0, 600, 300):
        numbers = range(start, start + 300)
        shop.react(*(bought(n, item_id=f"i{n}") for n in numbers), *(clicked(n) for n in numbers))
        shop.react(*(moved(5000 + n, 1) for n in numbers))
    sizes = {
        values.BOUGHT: len(shop.value(values.BOUGHT, "c1")["items"]),
        values.TASTE: len(shop.value(values.TASTE, "s:s1")["clicks"]),
    }
    assert sizes == {values.BOUGHT: 200, values.TASTE: 20}


def test_other_events_and_bad_ones_are_passed_by(shop: Shop) -> None:
    before = shop.store.kinds()
    shop.react(event("item_upsert", 1), event("promotion", 2), b"nonsense", b"")
    assert shop.store.kinds() == before and shop.sent == []
    assert shop.counts.events == {"reacted": 2, "refused": 2}
    assert set(before) == set(KINDS)
