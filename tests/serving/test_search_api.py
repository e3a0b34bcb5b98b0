"""Search over real sockets: answers, bad input, and an index that is replaced or damaged."""

import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from given_search import ITEMS, small_index
from shop import AT, assert_problem

from serving.live_values import PRICES, with_price
from serving.lmdb_store import LmdbStore
from serving.search_api import SearchAnswer, Suggestions
from serving.search_shelf import ENTRY, FOLDER, KIND
from serving.server import BackgroundServer
from serving.times import microseconds


class Shelf:
    """A store with its folder of indexes, and the API over both."""

    def __init__(self, root: Path) -> None:
        self.folder, self.store = root / FOLDER, LmdbStore(root / "online")

    def publish(self, name: str, digest: str | None = None) -> str:
        made = small_index(self.folder / name).digest
        entry = {"folder": name, "digest": digest or made}
        self.store.publish(KIND, [(ENTRY, entry)], version=name, published_at=AT)
        return made[:16]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[Shelf, httpx.Client]]:
    made = Shelf(tmp_path)
    with (
        BackgroundServer(made.store, search_folder=made.folder) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        yield made, client
    made.store.close()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    made = Shelf(tmp_path_factory.mktemp("searched"))
    made.publish("first")
    with (
        BackgroundServer(made.store, search_folder=made.folder) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        yield client
    made.store.close()


def search(client: httpx.Client, **asked: Any) -> dict[str, Any]:
    response = client.get("/v1/search", params=asked)
    assert response.status_code == 200, response.text
    SearchAnswer.model_validate_json(response.text)
    body: dict[str, Any] = response.json()
    assert set(body) == set(SearchAnswer.model_json_schema()["properties"])
    return body


def test_an_answer_has_items_facets_and_how_it_was_read(client: httpx.Client) -> None:
    body = search(client, q="choclate bar", customer_id="choc", brand="Own", k=1)
    (item,) = body["items"]
    assert (item["item_id"], item["price_cents"], item["currency"]) == ("c2", 110, "USD")
    assert item["reason"] == "you bought it before"
    assert (body["corrected"], body["matched"], body["personalised"]) == (
        "chocolate bar",
        "all",
        True,
    )
    assert body["facets"]["brand"] == [{"value": "Own", "items": 1}, {"value": "Sweet", "items": 1}]


def test_a_null_category_brand_and_price_are_null(client: httpx.Client) -> None:
    (item,) = search(client, q="brulee")["items"]
    assert (item["brand"], item["price_cents"], item["currency"]) == (None, None, None)


def test_an_unknown_customer_and_no_words_have_answers(client: httpx.Client) -> None:
    assert search(client, q="milk", customer_id="nobody")["personalised"] is False
    assert search(client)["total"] == len(ITEMS)
    assert search(client, q="zzzzzz")["matched"] == "none"
    assert search(client, q="milk", max_price_cents=1)["items"] == []


def test_suggestions(client: httpx.Client) -> None:
    response = client.get("/v1/suggestions", params={"q": "dark ch"})
    Suggestions.model_validate_json(response.text)
    assert response.json()["suggestions"] == ["dark chocolate"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"q": "x" * 257}, "INVALID_QUERY"),
        ({"customer_id": "a b"}, "INVALID_ID"),
        ({"category": "a|b"}, "INVALID_CATEGORY"),
        ({"brand": "a\nb"}, "INVALID_BRAND"),
        ({"min_price_cents": "-1"}, "INVALID_PRICE"),
        ({"max_price_cents": "9" * 30}, "INVALID_PRICE"),
        ({"max_price_cents": "1.5"}, "INVALID_PRICE"),
        ({"k": "0"}, "INVALID_LIMIT"),
    ],
)
def test_what_cannot_be_asked_is_invalid(
    client: httpx.Client, asked: dict[str, str], code: str
) -> None:
    assert_problem(client.get("/v1/search", params=asked), 422, code)


def test_nothing_published_is_not_ready_and_served_as_soon_as_it_is(
    shelf: tuple[Shelf, httpx.Client],
) -> None:
    made, client = shelf
    for route in ("search", "suggestions"):
        assert_problem(client.get(f"/v1/{route}?q=milk"), 503, "NOT_READY")
    version = made.publish("first")
    assert search(client, q="milk")["version"] == version


def test_a_new_index_takes_over_while_the_old_one_answers(
    shelf: tuple[Shelf, httpx.Client],
) -> None:
    made, client = shelf
    versions = [made.publish("first")]
    assert search(client, q="milk")["version"] == versions[0]
    versions.append(made.publish("second"))
    shutil.rmtree(made.folder / "first")
    seen = {search(client, q="milk")["version"]}
    until = time.monotonic() + 10
    while versions[1] not in seen and time.monotonic() < until:
        seen.add(search(client, q="milk")["version"])
    assert seen <= set(versions) and versions[1] in seen


def test_an_index_that_differs_from_its_digest_leaves_the_last_good_one(
    shelf: tuple[Shelf, httpx.Client], caplog: pytest.LogCaptureFixture
) -> None:
    made, client = shelf
    good = made.publish("first")
    assert search(client, q="milk")["version"] == good
    with caplog.at_level(logging.ERROR):
        made.publish("second", digest="0" * 64)
        until = time.monotonic() + 10
        while not caplog.records and time.monotonic() < until:
            assert search(client, q="milk")["version"] == good
    (told,) = caplog.messages
    assert "differs from its digest" in told and "last good index answers on" in told
    assert search(client, q="milk")["version"] == good
    better = made.publish("third")
    while search(client, q="milk")["version"] != better and time.monotonic() < until:
        pass
    assert search(client, q="milk")["version"] == better


def test_hits_have_the_price_of_now(shelf: tuple[Shelf, httpx.Client]) -> None:
    made, client = shelf
    made.publish("first")
    row = {"price_cents": 110, "currency": "USD", "changed_at": "2026-01-01T00:00:00Z"}
    both = [{"region": region, **row} for region in ("north", "south")]
    made.store.publish("prices", [("c2", {"prices": both})], version="1", published_at=AT)
    now = with_price(None, "north", (microseconds(AT), "e1"), 95, "USD")
    made.store.update(PRICES, {"c2": now}, at=AT)

    def prices(**asked: Any) -> dict[str, int]:
        items = search(client, q="chocolate bar", **asked)["items"]
        return {item["item_id"]: item["price_cents"] for item in items}

    assert prices() == {"c1": 120, "c2": 95}
    assert prices(min_price_cents=100) == {"c1": 120}
    dearer = with_price(now, "north", (microseconds(AT) + 1, "e2"), 200, "USD")
    made.store.update(PRICES, {"c2": dearer}, at=AT)
    assert prices() == {"c1": 120, "c2": 110}  # the best of both regions, as in the index
