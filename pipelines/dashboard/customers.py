"""What a customer bought, beside which the API shows what is recommended."""

from collections.abc import Mapping
from typing import Any

from pipelines.dashboard.tables import Row, Tables

_LATEST = """
SELECT customer_id, last_purchase_date, basket_count, spent_cents, currency, first_category
FROM gold.customer_profile
ORDER BY last_purchase_date DESC, spent_cents DESC, customer_id, currency LIMIT 20
"""
_PROFILE = """
SELECT * FROM gold.customer_profile WHERE customer_id = $customer ORDER BY spent_cents DESC
"""
_HISTORY = """
SELECT
    p.occurred_at, p.item_id, i.title, p.category, p.region, p.basket_id, p.quantity,
    p.amount_cents, p.currency
FROM silver.purchases AS p LEFT JOIN silver.items AS i ON i.item_id = p.item_id
WHERE p.customer_id = $customer
ORDER BY p.occurred_at DESC, p.event_id LIMIT 30
"""


def customers(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """The twenty who bought last."""
    return {"customers": tables.rows(_LATEST)}


def customer(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """A customer's profile, by currency, and the last thirty lines bought."""
    chosen = asked["customer_id"]
    has_profile = tables.has("gold.customer_profile")
    return {
        "customer_id": chosen,
        "profile": tables.rows(_PROFILE, customer=chosen) if has_profile else [],
        "purchases": tables.rows(_HISTORY, customer=chosen),
    }
