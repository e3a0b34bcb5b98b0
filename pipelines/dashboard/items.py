"""What sells, what gathers pace, what runs out, and what to charge, item by item."""

from collections.abc import Mapping
from typing import Any

from pipelines.dashboard.tables import Row, Tables

_TITLES = "LEFT JOIN silver.items AS i ON i.item_id = v.item_id"
_CHOSEN = """
($category = '' OR {category} = $category) AND ($region = '' OR v.region = $region)
"""
_TOP_SELLERS = f"""
SELECT
    v.item_id, any_value(i.title) AS title, any_value(v.category) AS category,
    sum(v.units) AS units, sum(v.revenue_cents) AS revenue_cents
FROM gold.top_sellers AS v {_TITLES}
WHERE v.sale_date > (SELECT max(sale_date) FROM gold.top_sellers) - 7
  AND {_CHOSEN.format(category="v.category")}
GROUP BY v.item_id ORDER BY units DESC, revenue_cents DESC, v.item_id LIMIT 10
"""  # noqa: S608  constants of this module
_TRENDING = f"""
SELECT v.item_id, i.title, i.category, v.event_count, v.usual_count, v.score, v.as_of_at
FROM gold.trending_items AS v {_TITLES}
WHERE ($category = '' OR i.category = $category)
ORDER BY v.score DESC, v.event_count DESC, v.item_id LIMIT 10
"""  # noqa: S608
_RISK = f"""
SELECT v.item_id, i.title, i.category, v.region, v.quantity, v.units_per_day, v.days_of_cover
FROM gold.stockout_risk AS v {_TITLES}
WHERE {_CHOSEN.format(category="i.category")}
ORDER BY v.days_of_cover, v.units_per_day DESC, v.item_id, v.region LIMIT 25
"""  # noqa: S608
_RISK_COUNTS = f"""
SELECT
    max(v.as_of_at) AS as_of_at,
    count(*) AS places,
    count(*) FILTER (v.days_of_cover <= 0) AS out,
    count(*) FILTER (v.days_of_cover > 0 AND v.days_of_cover < 3) AS under_3_days,
    count(*) FILTER (v.days_of_cover >= 3 AND v.days_of_cover < 7) AS under_7_days
FROM gold.stockout_risk AS v {_TITLES} WHERE {_CHOSEN.format(category="i.category")}
"""  # noqa: S608
_SUGGESTIONS = f"""
SELECT v.*, i.title, i.category FROM gold.price_suggestions AS v {_TITLES}
WHERE v.is_change AND {_CHOSEN.format(category="i.category")}
ORDER BY v.profit_change_cents DESC, v.item_id, v.region LIMIT 25
"""  # noqa: S608
_SUGGESTION_COUNTS = f"""
SELECT
    count(*) AS places, count(*) FILTER (v.is_change) AS changes, max(v.as_of_at) AS as_of_at
FROM gold.price_suggestions AS v {_TITLES} WHERE {_CHOSEN.format(category="i.category")}
"""  # noqa: S608
_CURRENCIES = "SELECT DISTINCT currency FROM gold.sales_hourly ORDER BY currency"


def titles(tables: Tables) -> dict[str, str]:
    """Item -> its title; none where the catalogue is not there yet."""
    if not tables.has("silver.items"):
        return {}
    rows = tables.rows("SELECT item_id, title FROM silver.items")
    return {row["item_id"]: row["title"] for row in rows}


def sellers(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """The ten that sold most units in the last seven days of the data, and the ten most trending.

    Revenue is told only where all of it is of one `currency`.
    """
    chosen = {"category": asked["category"], "region": asked["region"]}
    currencies = [row["currency"] for row in tables.rows(_CURRENCIES)]
    return {
        "currency": currencies[0] if len(currencies) == 1 else None,
        "top_sellers": tables.rows(_TOP_SELLERS, **chosen),
        "trending": tables.rows(_TRENDING, category=asked["category"]),
    }


def stock(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """Items and regions whose stock ends soonest at the rate of their sales."""
    chosen = {"category": asked["category"], "region": asked["region"]}
    return {**tables.one(_RISK_COUNTS, **chosen), "items": tables.rows(_RISK, **chosen)}


def prices(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """The price suggestions that promise most profit a week; `available` is false without any."""
    if not tables.has("gold.price_suggestions"):
        return {"available": False}
    chosen = {"category": asked["category"], "region": asked["region"]}
    return {
        "available": True,
        **tables.one(_SUGGESTION_COUNTS, **chosen),
        "items": tables.rows(_SUGGESTIONS, **chosen),
    }
