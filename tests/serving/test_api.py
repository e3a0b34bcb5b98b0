"""The HTTP API over real sockets: every endpoint, every bad input."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import BaseModel
from shop import (
    AT,
    KINDS,
    LEVEL,
    POPULAR,
    PRICE,
    RECOMMENDED,
    RISING,
    SELLER,
    assert_problem,
    publish,
)

from serving import api, recommending
from serving.lmdb_store import LmdbStore

# --- answers ------------------------------------------------------------------------------

ANSWERS: list[tuple[str, type[BaseModel], dict[str, Any]]] = [
    (
        "/v1/recommendations/c1?k=3",
        recommending.Recommendations,
        {
            "customer_id": "c1",
            "items": RECOMMENDED["items"][:3],
            "fallback": False,
            "model_version": "v-recommendations",
            "experiment": None,
            "arm": None,
        },
    ),
    (
        "/v1/recommendations/nobody",
        recommending.Recommendations,
        {
            "customer_id": "nobody",
            "items": POPULAR["items"][:10],
            "fallback": True,
            "model_version": "v-popular",
            "experiment": None,
            "arm": None,
        },
    ),
    (
        "/v1/items/i1/similar?k=100",
        recommending.SimilarItems,
        {"item_id": "i1", "items": RECOMMENDED["items"], "model_version": "v-similar"},
    ),
    (
        "/v1/trending?k=2",
        api.Trending,
        {"category": "*", "region": "*", "items": [RISING] * 2},
    ),
    (
        "/v1/trending?category=DAIRY",
        api.Trending,
        {"category": "DAIRY", "region": "*", "items": [RISING]},
    ),
    (
        "/v1/top-sellers?k=2",
        api.TopSellers,
        {"category": "*", "region": "*", "date": "2026-01-01", "items": [SELLER] * 2},
    ),
    (
        "/v1/top-sellers?category=FRZN%20FRUITS/VEG&region=",
        api.TopSellers,
        {
            "category": "FRZN FRUITS/VEG",
            "region": "*",
            "date": "2026-01-01",
            "items": [SELLER] * 2,
        },
    ),
    (
        "/v1/top-sellers?category=FRZN%20FRUITS/VEG&region=north",
        api.TopSellers,
        {
            "category": "FRZN FRUITS/VEG",
            "region": "north",
            "date": "2026-01-01",
            "items": [SELLER],
        },
    ),
    (
        "/v1/prices/i1",
        api.Prices,
        {
            "item_id": "i1",
            "prices": [{"region": r, **PRICE} for r in ("north", "south")],
            "suggestions": [],
        },
    ),
    (
        "/v1/prices/i1?region=south",
        api.Prices,
        {"item_id": "i1", "prices": [{"region": "south", **PRICE}], "suggestions": []},
    ),
    (
        "/v1/inventory/i1?region=north",
        api.Inventory,
        {"item_id": "i1", "levels": [{"region": "north", **LEVEL}]},
    ),
    ("/v1/inventory/i1?region=nowhere", api.Inventory, {"item_id": "i1", "levels": []}),
]


@pytest.mark.parametrize(("url", "model", "expected"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_answers_are_what_was_published(
    client: httpx.Client, url: str, model: type[BaseModel], expected: dict[str, Any]
) -> None:
    response = client.get(url)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body.pop("as_of") == "2026-01-02T03:04:05Z" and body.pop("stale") is False
    age = (datetime.now(UTC) - AT).total_seconds()
    assert age - 60 < int(response.headers["age"]) <= age
    if "model_version" not in expected:
        kind = url.split("/")[2].split("?")[0].replace("-", "_")
        assert body.pop("version") == f"v-{kind}"
    assert body == expected
    documented = model.model_json_schema()["properties"]
    assert set(response.json()) == set(documented)
    model.model_validate_json(response.text)


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["store"]) == ("ready", "ok")
    assert set(ready["kinds"]) == set(KINDS)
    assert ready["kinds"]["top_sellers"] == {
        "version": "v-top_sellers",
        "as_of": "2026-01-02T03:04:05Z",
        "entries": 3,
    }


def test_a_new_version_is_served_at_once(empty: tuple[LmdbStore, httpx.Client]) -> None:
    store, client = empty
    publish(store, "recommendations")
    assert client.get("/v1/recommendations/c1").json()["model_version"] == "v-recommendations"
    store.publish("recommendations", [("c1", POPULAR)], version="v2", published_at=AT)
    assert client.get("/v1/recommendations/c1").json()["model_version"] == "v2"


def test_what_has_outlived_its_time_is_not_answered(
    empty: tuple[LmdbStore, httpx.Client],
) -> None:
    store, client = empty
    old = timedelta(seconds=1)
    store.publish("prices", KINDS["prices"], version="1", published_at=AT, ttl=old)
    problem = assert_problem(client.get("/v1/prices/i1"), 503, "NOT_READY")
    assert "has expired; run `lakehouse publish`" in problem["detail"]


# --- bad inputs ---------------------------------------------------------------------------

BAD_IDS = ["", "a/b", "..%2F..%2Fetc", "a%00", "a%0A", "a%0D%0ADEL", "*", "a%20b", "%D0%B0", "%FF"]
BAD_IDS += ["x" * 129, "x" * 10_000, "a%3Fb", "<script>"]


@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda bad: bad[:12] or "empty")
@pytest.mark.parametrize(
    "route",
    ["/v1/recommendations/{}", "/v1/items/{}/similar", "/v1/prices/{}", "/v1/inventory/{}"],
)
def test_a_bad_id_is_invalid(client: httpx.Client, route: str, bad: str) -> None:
    problem = assert_problem(client.get(route.format(bad)), 422, "INVALID_ID")
    assert "1 to 128" in problem["detail"]


@pytest.mark.parametrize("k", ["0", "-1", "101", "1e9", "abc", "NaN", "", "1.5", "9" * 5000])
@pytest.mark.parametrize("route", ["recommendations/c1", "items/i1/similar", "top-sellers"])
def test_a_bad_limit_names_the_maximum(client: httpx.Client, route: str, k: str) -> None:
    problem = assert_problem(client.get(f"/v1/{route}?k={k}"), 422, "INVALID_LIMIT")
    assert "1 to 100" in problem["detail"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("/v1/top-sellers?category=a|b", "INVALID_CATEGORY"),
        ("/v1/top-sellers?category=a%0Ab", "INVALID_CATEGORY"),
        ("/v1/top-sellers?category=" + "x" * 129, "INVALID_CATEGORY"),
        ("/v1/top-sellers?region=a|b", "INVALID_REGION"),
        ("/v1/prices/i1?region=no%20where", "INVALID_REGION"),
        ("/v1/inventory/i1?region=%00", "INVALID_REGION"),
    ],
)
def test_a_bad_filter_is_invalid(client: httpx.Client, url: str, code: str) -> None:
    assert_problem(client.get(url), 422, code)


@pytest.mark.parametrize(
    "url",
    [
        "/v1/items/i9/similar",
        "/v1/prices/i9",
        "/v1/inventory/i9",
        "/v1/top-sellers?category=none",
        "/nope",
        "/v1/",
        "/healthz/",
        "/v1/items/i1",
    ],
)
def test_what_does_not_exist_is_not_found(client: httpx.Client, url: str) -> None:
    assert_problem(client.get(url), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/v1/recommendations/c1", content=b"x")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET"


# --- not ready, broken --------------------------------------------------------------------


def test_an_empty_store_is_alive_but_not_ready(empty: tuple[LmdbStore, httpx.Client]) -> None:
    store, client = empty
    assert client.get("/healthz").status_code == 200
    for url in ("/readyz", "/v1/recommendations/c1", "/v1/prices/i1", "/v1/top-sellers"):
        assert "publish" in assert_problem(client.get(url), 503, "NOT_READY")["detail"]
    publish(store, "popular")
    assert client.get("/v1/recommendations/c1").json()["fallback"] is True
    assert_problem(client.get("/readyz"), 503, "NOT_READY")
    publish(store, "recommendations")
    assert client.get("/readyz").status_code == 200


def test_openapi_is_json_of_all_answers(client: httpx.Client) -> None:
    schemas = json.loads(client.get("/openapi.json").text)["components"]["schemas"]
    assert {"Recommendations", "SimilarItems", "TopSellers", "Prices", "Inventory"} <= set(schemas)
