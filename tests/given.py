"""What tests are given: valid events, of which each test changes what it is about."""

import uuid
from typing import Any


def event(event_type: str, number: int, **fields: object) -> dict[str, Any]:
    """A valid event with a readable id; `fields` replace or add."""
    by_type: dict[str, dict[str, Any]] = {
        "click": {"session_id": "s1", "customer_id": "c1"},
        "purchase": {
            "basket_id": "b1",
            "customer_id": "c1",
            "quantity": 2,
            "price_cents": 150,
            "currency": "USD",
        },
        "price_change": {"price_cents": 150, "currency": "USD"},
        "inventory_change": {"delta_quantity": 10},
        "promotion": {"placement": "display", "duration_days": 7},
        "impression": {
            "customer_id": "c1",
            "attributes": {
                "experiment": "blend",
                "arm": "champion",
                "model_version": "3",
                "challenger_permille": 500,
                "items": ["i1", "i2"],
            },
        },
        "item_upsert": {"title": "Milk", "brand": "Own"},
    }
    place = {} if event_type == "item_upsert" else {"region": "north"}
    return {
        "event_id": str(uuid.UUID(int=number)),
        "event_type": event_type,
        "occurred_at": "2017-03-01T10:00:00Z",
        "item_id": "i1",
        "category": "DAIRY",
        **place,
        **by_type.get(event_type, {}),
        **fields,
    }
