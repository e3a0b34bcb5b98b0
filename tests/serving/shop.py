"""A small shop as it is published, and what the tests of the API share."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx

from serving.online import OnlineStore

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ITEM: dict[str, Any] = {
    "title": "Oat milk",
    "category": "DAIRY",
    "score": 0.5,
    "reason": "often bought together",
}
RECOMMENDED: dict[str, Any] = {"items": [{"item_id": f"i{i}", **ITEM} for i in range(20)]}
POPULAR: dict[str, Any] = {"items": [{"item_id": f"p{i}", **ITEM} for i in range(20)]}
SELLER = {"item_id": "i1", "title": "Oat milk", "units": 7, "revenue_cents": 1393}
RISING = {"item_id": "i1", "title": "Oat milk", "event_count": 9, "usual_count": 2.5, "score": 3.4}
PRICE = {"price_cents": 199, "currency": "USD", "changed_at": "2026-01-01T00:00:00Z"}
LEVEL = {"quantity": 12, "changed_at": "2026-01-01T00:00:00Z"}
KINDS: dict[str, list[tuple[str, Any]]] = {
    "recommendations": [("c1", RECOMMENDED)],
    "popular": [("all", POPULAR)],
    "similar": [("i1", RECOMMENDED)],
    "together": [("i1", RECOMMENDED)],
    "top_sellers": [
        ("*|*", {"items": [SELLER] * 3, "date": "2026-01-01"}),
        ("FRZN FRUITS/VEG|*", {"items": [SELLER] * 2, "date": "2026-01-01"}),
        ("FRZN FRUITS/VEG|north", {"items": [SELLER], "date": "2026-01-01"}),
    ],
    "trending": [("*|*", {"items": [RISING] * 3}), ("DAIRY|*", {"items": [RISING]})],
    "prices": [("i1", {"prices": [{"region": r, **PRICE} for r in ("north", "south")]})],
    "inventory": [("i1", {"levels": [{"region": r, **LEVEL} for r in ("north", "south")]})],
}


def publish(store: OnlineStore, *kinds: str) -> None:
    for kind in kinds:
        store.publish(kind, KINDS[kind], version=f"v-{kind}", published_at=AT)


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert list(problem) == ["type", "title", "status", "detail", "code", "request_id"]
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == response.headers["x-request-id"]
    assert not re.search(r"Traceback|\.py|/srv|/work", response.text)
    return problem
