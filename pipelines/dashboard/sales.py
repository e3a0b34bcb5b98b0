"""Revenue by hour, category and region beside the week before, from gold.sales_hourly."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pipelines.dashboard.tables import Row, Tables

WEEK = timedelta(days=7)
HOUR = timedelta(hours=1)
MOST_GROUPS = 50

# `now` is the newest hour of the data, as in every view, never the clock.
_FACTS = """
SELECT
    max(hour_at) AS newest_at,
    min(hour_at) AS first_at,
    list(DISTINCT category ORDER BY category) AS categories,
    list(DISTINCT region ORDER BY region) AS regions
FROM gold.sales_hourly
"""
_CURRENCIES = """
SELECT currency FROM gold.sales_hourly WHERE hour_at > $since
GROUP BY currency ORDER BY sum(revenue_cents) DESC, currency
"""
_WHERE = """
currency = $currency
AND ($category = '' OR category = $category) AND ($region = '' OR region = $region)
"""
_SUMS = """
sum(revenue_cents) FILTER (hour_at >= $start AND hour_at <= $end) AS revenue_cents,
sum(units) FILTER (hour_at >= $start AND hour_at <= $end) AS units,
sum(purchase_count) FILTER (hour_at >= $start AND hour_at <= $end) AS purchase_count,
sum(revenue_cents) FILTER (hour_at >= $old_start AND hour_at <= $old_end) AS old_revenue_cents,
sum(units) FILTER (hour_at >= $old_start AND hour_at <= $old_end) AS old_units,
sum(purchase_count) FILTER (hour_at >= $old_start AND hour_at <= $old_end) AS old_purchase_count
"""
_TOTALS = f"""
SELECT {_SUMS} FROM gold.sales_hourly WHERE {_WHERE} AND hour_at >= $old_start AND hour_at <= $end
"""  # noqa: S608  constants of this module
_BY_HOUR = f"""
SELECT hour_at, sum(revenue_cents) AS revenue_cents FROM gold.sales_hourly
WHERE {_WHERE} AND (hour_at BETWEEN $start AND $end OR hour_at BETWEEN $old_start AND $old_end)
GROUP BY hour_at ORDER BY hour_at
"""  # noqa: S608


def _by(column: str) -> str:
    return f"""
    SELECT {column} AS name, {_SUMS} FROM gold.sales_hourly
    WHERE {_WHERE} AND hour_at >= $old_start AND hour_at <= $end
    GROUP BY {column} ORDER BY 2 DESC NULLS LAST, 1 LIMIT {MOST_GROUPS}
    """  # noqa: S608


def sales(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """Sums of the last `hours` of the data, and of the same hours a week before.

    Args:
        tables: of the lake.
        asked: `hours` up to a week, and the `category`, `region` and `currency` to count; empty:
            all, and the currency with the most revenue.

    Returns:
        `hours` has one row an hour; what lies before the first hour of the data is null, an hour
        without a sale 0. `categories` and `regions` each leave their own filter out.
    """
    facts = tables.one(_FACTS)
    end: datetime | None = facts["newest_at"]
    if end is None:
        return {"newest_at": None, "hours": []}
    start = end - asked["hours"] * HOUR + HOUR
    currencies = [row["currency"] for row in tables.rows(_CURRENCIES, since=start - WEEK - HOUR)]
    currency = asked["currency"] if asked["currency"] in currencies else currencies[0]
    span = {"start": start, "end": end, "old_start": start - WEEK, "old_end": end - WEEK}
    chosen = {"currency": currency, "category": asked["category"], "region": asked["region"]}
    sums = tables.rows(_BY_HOUR, **chosen, **span)
    by_hour = {row["hour_at"]: int(row["revenue_cents"]) for row in sums}
    first = facts["first_at"]
    hours = [start + n * HOUR for n in range(asked["hours"])]

    def at(hour: datetime) -> int | None:
        return by_hour.get(hour, 0) if hour >= first else None

    return {
        "newest_at": end,
        "currency": currency,
        "currencies": currencies,
        "all_categories": facts["categories"],
        "all_regions": facts["regions"],
        "total": tables.one(_TOTALS, **chosen, **span),
        "hours": [
            {"hour_at": h, "revenue_cents": at(h), "old_revenue_cents": at(h - WEEK)} for h in hours
        ],
        "categories": tables.rows(_by("category"), **{**chosen, "category": ""}, **span),
        "regions": tables.rows(_by("region"), **{**chosen, "region": ""}, **span),
    }
