"""A lake of a small shop, written by delta-rs: what the dashboard reads, without Spark."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from pipelines.io.lake import open_lake
from pipelines.settings import Settings, load_settings

NEWEST = datetime(2026, 3, 8, 20, tzinfo=UTC)
WEEK = timedelta(days=7)
TEXT, WHOLE, REAL, DAY = pa.string(), pa.int64(), pa.float64(), pa.date32()
TIME, FLAG, TEXTS = pa.timestamp("us", "UTC"), pa.bool_(), pa.list_(pa.string())

SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    "gold.sales_hourly": {
        "category": TEXT, "region": TEXT, "hour_at": TIME, "currency": TEXT,
        "units": WHOLE, "revenue_cents": WHOLE, "purchase_count": WHOLE,
    },
    "gold.top_sellers": {
        "category": TEXT, "region": TEXT, "sale_date": DAY, "rank": pa.int32(), "item_id": TEXT,
        "units": WHOLE, "revenue_cents": WHOLE,
    },
    "gold.trending_items": {
        "item_id": TEXT, "event_count": WHOLE, "usual_count": REAL, "score": REAL, "as_of_at": TIME,
    },
    "gold.stockout_risk": {
        "item_id": TEXT, "region": TEXT, "quantity": WHOLE, "units_sold": WHOLE,
        "units_per_day": REAL, "days_of_cover": REAL, "as_of_at": TIME,
    },
    "gold.price_suggestions": {
        "item_id": TEXT, "region": TEXT, "currency": TEXT, "price_cents": WHOLE,
        "suggested_cents": WHOLE, "is_change": FLAG, "units_per_week": REAL, "units_change": REAL,
        "profit_change_cents": REAL, "profit_change_low": REAL, "profit_change_high": REAL,
        "confidence": REAL, "reason": TEXT, "as_of_at": TIME,
    },
    "gold.customer_profile": {
        "customer_id": TEXT, "currency": TEXT, "last_purchase_date": DAY, "basket_count": WHOLE,
        "spent_cents": WHOLE, "basket_cents": REAL, "first_category": TEXT,
        "second_category": TEXT, "third_category": TEXT,
    },
    "gold.refreshes": {
        "view": TEXT, "strategy": TEXT, "seconds": REAL, "refreshed_at": TIME,
    },
    "silver.items": {"item_id": TEXT, "title": TEXT, "category": TEXT},
    "silver.purchases": {
        "event_id": TEXT, "occurred_at": TIME, "item_id": TEXT, "category": TEXT, "region": TEXT,
        "customer_id": TEXT, "basket_id": TEXT, "quantity": WHOLE, "amount_cents": WHOLE,
        "currency": TEXT,
    },
    "silver.batches": {
        "ended_at": TIME, "valid": WHOLE, "refused": WHOLE, "duplicate": WHOLE, "late": WHOLE,
        "seen": WHOLE, "watermark": TIME, "skipped": TEXTS,
    },
    "silver.quality": {
        "table_name": TEXT, "to_version": WHOLE, "reason": TEXT, "rows": WHOLE, "failures": WHOLE,
        "validated_at": TIME,
    },
    "silver.purchases_quarantine": {
        "event_id": TEXT, "reasons": TEXTS, "payload": pa.binary(), "produced_at": TIME,
        "source": TEXT, "source_partition": pa.int32(), "source_offset": WHOLE,
    },
}  # fmt: skip


def shop_lake(folder: Path) -> Settings:
    """An empty lake."""
    settings = load_settings(overrides={"root": str(folder)})
    open_lake(settings, create=True)
    return settings


def put(
    settings: Settings, name: str, rows: Iterable[Mapping[str, Any]], mode: Any = "append"
) -> None:
    """Add rows to a table, which is made if need be; what a row does not name is null."""
    fields = SCHEMAS[name]
    columns = {
        column: pa.array([row.get(column) for row in rows], kind) for column, kind in fields.items()
    }
    write_deltalake(f"{settings.root}/{name.replace('.', '/')}", pa.table(columns), mode=mode)


def sale(hour: datetime, cents: int, **other: Any) -> dict[str, Any]:
    """A row of gold.sales_hourly."""
    place = {"category": "DAIRY", "region": "north", "currency": "USD"}
    return {
        **place,
        "hour_at": hour,
        "units": 2,
        "revenue_cents": cents,
        "purchase_count": 1,
    } | other


def refusal(number: int, payload: bytes | None, *reasons: str) -> dict[str, Any]:
    """A row of a quarantine."""
    return {
        "event_id": None, "reasons": list(reasons), "payload": payload, "produced_at": NEWEST,
        "source": "retail-events", "source_partition": 0, "source_offset": number,
    }  # fmt: skip


def fill_shop(settings: Settings) -> None:
    """Two weeks of a shop with five items in two regions, one customer, and a refused event."""
    hours = [NEWEST - timedelta(hours=n) for n in range(14 * 24)]
    put(
        settings,
        "gold.sales_hourly",
        [
            sale(hour, 1000 + 40 * hour.hour + more, category=category, region=region)
            for hour in hours
            for more, (category, region) in enumerate(
                [("DAIRY", "north"), ("DAIRY", "south"), ("BAKERY", "north")]
            )
        ],
    )
    titles = ["Oat milk", "Butter", "Rye bread", "Rolls", "Cheddar"]
    kinds = ["DAIRY", "DAIRY", "BAKERY", "BAKERY", "DAIRY"]
    items = [
        {"item_id": f"i{n}", "title": title, "category": kind}
        for n, (title, kind) in enumerate(zip(titles, kinds, strict=True))
    ]
    put(settings, "silver.items", items)
    put(
        settings,
        "gold.top_sellers",
        [
            {**item, "region": region, "sale_date": date(2026, 3, 8 - day), "rank": 1,
             "units": 10 - n, "revenue_cents": 100 * (10 - n)}
            for n, item in enumerate(items)
            for region in ("north", "south")
            for day in range(2)
        ],
    )  # fmt: skip
    put(
        settings,
        "gold.trending_items",
        [
            {"item_id": f"i{n}", "event_count": 30 - n, "usual_count": 10.5, "score": 5.75 - n,
             "as_of_at": NEWEST}
            for n in range(5)
        ],
    )  # fmt: skip
    put(
        settings,
        "gold.stockout_risk",
        [
            {"item_id": f"i{n}", "region": "north", "quantity": 4 * n, "units_sold": 56,
             "units_per_day": 2.0, "days_of_cover": 2.0 * n, "as_of_at": NEWEST}
            for n in range(5)
        ],
    )  # fmt: skip
    profile = {
        "customer_id": "c1", "currency": "USD", "last_purchase_date": date(2026, 3, 8),
        "basket_count": 2, "spent_cents": 1398, "basket_cents": 699.0, "first_category": "DAIRY",
    }  # fmt: skip
    put(settings, "gold.customer_profile", [profile])
    put(
        settings,
        "silver.purchases",
        [
            {"event_id": f"e{n}", "occurred_at": NEWEST - timedelta(days=n), "item_id": f"i{n}",
             "category": kinds[n], "region": "north", "customer_id": "c1", "basket_id": f"b{n}",
             "quantity": 2, "amount_cents": 699, "currency": "USD"}
            for n in range(2)
        ],
    )  # fmt: skip
    put(
        settings,
        "silver.batches",
        [
            {"ended_at": NEWEST + timedelta(minutes=n), "valid": 900 + 20 * n, "refused": 2,
             "duplicate": 5, "late": 0, "seen": 0, "watermark": NEWEST, "skipped": []}
            for n in range(30)
        ],
    )  # fmt: skip
    put(
        settings,
        "gold.refreshes",
        [
            {
                "view": "gold.sales_hourly",
                "strategy": "totals",
                "seconds": 0.4,
                "refreshed_at": NEWEST,
            }
        ],
    )
    html = b'{"item_id": "<img src=x onerror=alert(1)>", "quantity": 0}\x00\xff'
    put(
        settings,
        "silver.purchases_quarantine",
        [
            refusal(1, html, "quantity_out_of_range"),
            refusal(2, None, "quantity_out_of_range", "empty"),
        ],
    )
