"""Suggestions beside prices: shown while their price holds, and dropped when it has changed."""

from typing import Any

import httpx
from shop import AT, KINDS, PRICE, publish

from serving.api import Prices
from serving.lmdb_store import LmdbStore
from serving.suggested_prices import KIND, SuggestedPrice

SUGGESTED: dict[str, Any] = {
    "region": "south",
    "currency": PRICE["currency"],
    "price_cents": PRICE["price_cents"],
    "suggested_cents": 209,
    "is_change": True,
    "elasticity": -1.1,
    "elasticity_sd": 0.2,
    "units_per_week": 10.0,
    "units_change": -0.5,
    "units_change_low": -0.7,
    "units_change_high": -0.3,
    "profit_change_cents": 60.0,
    "profit_change_low": 20.0,
    "profit_change_high": 90.0,
    "confidence": 0.95,
    "reason": "raised",
}


def test_a_suggestion_is_shown_while_its_price_holds(
    empty: tuple[LmdbStore, httpx.Client],
) -> None:
    store, client = empty
    publish(store, "prices")
    assert client.get("/v1/prices/i1").json()["suggestions"] == []
    outdated = SUGGESTED | {"region": "north", "price_cents": 1}
    entries = {"suggestions": [outdated, SUGGESTED]}
    store.publish(KIND, [("i1", entries)], version="1", published_at=AT)
    response = client.get("/v1/prices/i1")
    Prices.model_validate_json(response.text)
    assert response.json()["suggestions"] == [SUGGESTED]
    assert client.get("/v1/prices/i1?region=north").json()["suggestions"] == []
    assert set(SUGGESTED) == set(SuggestedPrice.model_fields)


def test_a_suggestion_is_no_price(empty: tuple[LmdbStore, httpx.Client]) -> None:
    store, client = empty
    store.publish("prices", KINDS["prices"], version="1", published_at=AT)
    entries = {"suggestions": [SUGGESTED]}
    store.publish(KIND, [("i9", entries)], version="1", published_at=AT)
    assert client.get("/v1/prices/i9").status_code == 404
