"""Suggested prices beside the present ones."""

from typing import Any

from pydantic import BaseModel

from serving.lookup import beside
from serving.online import OnlineStore

KIND = "price_suggestions"


class SuggestedPrice(BaseModel):
    """What to charge in a region; changes are of a week, with the ends of 90 % intervals."""

    region: str
    currency: str
    price_cents: int
    suggested_cents: int
    is_change: bool
    elasticity: float
    elasticity_sd: float
    units_per_week: float
    units_change: float
    units_change_low: float
    units_change_high: float
    profit_change_cents: float
    profit_change_low: float
    profit_change_high: float
    confidence: float | None
    reason: str


def suggestions(
    store: OnlineStore, item_id: str, prices: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """The suggestions for an item's present prices; one for a price that has changed is dropped."""
    found = beside(store, KIND, [item_id]).get(item_id)
    now = {(row["region"], row["currency"]): row["price_cents"] for row in prices}
    return [
        row
        for row in (found.value["suggestions"] if found else ())
        if now.get((row["region"], row["currency"])) == row["price_cents"]
    ]
