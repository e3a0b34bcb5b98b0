"""What the panels show of a lake, beside what its tables hold."""

import shutil
import time
from base64 import b64decode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from given_gold import NEWEST, WEEK, put, refusal, sale, shop_lake
from pyspark.sql import SparkSession

from pipelines.dashboard import tables
from pipelines.dashboard.panels import Panels
from pipelines.errors import LakeError
from pipelines.io.query import query
from pipelines.settings import Settings
from pipelines.streams import StreamState, save_stream

ALL = {"category": "", "region": "", "currency": "", "hours": 168}
EVERY = ("sales", "items", "stock", "prices", "quality", "customers", "live", "runs")
Show = Callable[..., dict[str, Any]]


@pytest.fixture
def show(shop: Settings, monkeypatch: pytest.MonkeyPatch) -> Show:
    """Panels of the shop that look at the tables each time."""
    monkeypatch.setattr(tables, "LOOK_S", 0.0)
    panels = Panels(shop)
    return lambda name, **asked: panels.panel(name, ALL | asked)


def test_revenue_stands_beside_the_week_before(show: Show, shop: Settings) -> None:
    put(
        shop,
        "gold.sales_hourly",
        [sale(NEWEST, 500, region="west"), sale(NEWEST, 1, currency="EUR")],
    )
    shown = show("sales", hours=24)
    assert (shown["newest_at"], shown["currency"], shown["currencies"]) == (
        "2026-03-08T20:00:00Z", "USD", ["USD", "EUR"],
    )  # fmt: skip
    assert len(shown["hours"]) == 24
    assert shown["hours"][-1] == {
        "hour_at": "2026-03-08T20:00:00Z",
        "revenue_cents": 3 * 1800 + 3 + 500,
        "old_revenue_cents": 3 * 1800 + 3,
    }
    day = sum(3 * (1000 + 40 * hour) + 3 for hour in range(24))
    assert shown["total"]["revenue_cents"] == day + 500
    assert shown["total"]["old_revenue_cents"] == day
    west = next(row for row in shown["regions"] if row["name"] == "west")
    assert (west["revenue_cents"], west["old_revenue_cents"]) == (500, None)
    assert [row["name"] for row in shown["regions"]] == ["north", "south", "west"]
    assert shown["all_regions"] == ["north", "south", "west"]


def test_filters_narrow_all_but_their_own_list(show: Show) -> None:
    shown = show("sales", region="south", category="DAIRY")
    assert shown["hours"][-1]["revenue_cents"] == 1801
    assert [row["name"] for row in shown["regions"]] == ["south", "north"]
    assert [row["name"] for row in shown["categories"]] == ["DAIRY"]
    assert show("sales", region="x' OR '1'='1")["total"]["revenue_cents"] is None
    assert [row["item_id"] for row in show("items", category="BAKERY")["top_sellers"]] == [
        "i2",
        "i3",
    ]
    assert show("items", region="south")["top_sellers"][0]["units"] == 20
    assert show("stock", region="south")["items"] == []


def test_before_the_first_hour_nothing_is_known(show: Show, shop: Settings) -> None:
    put(
        shop,
        "gold.sales_hourly",
        [sale(NEWEST, 70), sale(NEWEST - timedelta(hours=2), 5)],
        "overwrite",
    )
    hours = show("sales", hours=4)["hours"]
    assert [row["revenue_cents"] for row in hours] == [None, 5, 0, 70]
    assert {row["old_revenue_cents"] for row in hours} == {None}


def test_items_come_with_their_titles_and_in_their_order(show: Show) -> None:
    shown = show("items")
    assert shown["currency"] == "USD"
    best = shown["top_sellers"][0]
    assert best == {
        "item_id": "i0", "title": "Oat milk", "category": "DAIRY",
        "units": 40, "revenue_cents": 4000,
    }  # fmt: skip
    assert [row["item_id"] for row in shown["trending"]] == ["i0", "i1", "i2", "i3", "i4"]
    stock = show("stock")
    assert (stock["places"], stock["out"], stock["under_3_days"], stock["under_7_days"]) == (
        5,
        1,
        1,
        2,
    )
    assert [row["days_of_cover"] for row in stock["items"]] == [0, 2, 4, 6, 8]


def test_prices_are_shown_once_there_are_suggestions(show: Show, shop: Settings) -> None:
    assert show("prices") == {"available": False}
    row = {
        "item_id": "i1", "region": "north", "currency": "USD", "price_cents": 200,
        "confidence": 0.9, "suggested_cents": 210, "is_change": True,
        "profit_change_cents": 55.5, "as_of_at": NEWEST,
    }  # fmt: skip
    rows = [
        row,
        row | {"item_id": "i2", "is_change": False},
        row | {"item_id": "i3", "profit_change_cents": 80.0},
    ]
    put(shop, "gold.price_suggestions", rows)
    shown = show("prices")
    assert (shown["places"], shown["changes"]) == (3, 2)
    assert [(one["item_id"], one["title"]) for one in shown["items"]] == [
        ("i3", "Rolls"),
        ("i1", "Butter"),
    ]


def test_refused_events_are_counted_and_shown_byte_for_byte(show: Show, shop: Settings) -> None:
    shown = show("quality")
    assert shown["total"]["refused"] == 60
    table = "silver.purchases_quarantine"
    assert shown["kept"] == [
        {"table": table, "reason": "quantity_out_of_range", "events": 2},
        {"table": table, "reason": "empty", "events": 1},
    ]
    found = show("quarantine", table=table, reason="empty", limit=5)["events"]
    assert [(row["source_offset"], row["payload"]) for row in found] == [(2, None)]
    put(shop, table, [refusal(3, b"x" * 5000, "empty"), refusal(4, b"\xff\x00<b>", "not_utf8")])
    (long,) = show("quarantine", table=table, reason="empty", limit=1)["events"]
    assert (long["size_bytes"], b64decode(long["payload"])) == (5000, b"x" * 4096)
    (newest,) = show("quarantine", table=table, reason="", limit=1)["events"]
    assert (b64decode(newest["payload"]), newest["reasons"]) == (b"\xff\x00<b>", ["not_utf8"])
    assert show("quarantine", table="silver.clicks_quarantine", reason="", limit=1)["events"] == []
    for unknown in ("silver.purchases", "gold.sales_hourly", "silver.x; DROP TABLE y"):
        with pytest.raises(KeyError):
            show("quarantine", table=unknown, reason="", limit=1)


def test_a_customer_is_shown_with_what_was_bought_last(show: Show) -> None:
    assert [row["customer_id"] for row in show("customers")["customers"]] == ["c1"]
    shown = show("customer", customer_id="c1")
    assert [(row["item_id"], row["title"]) for row in shown["purchases"]] == [
        ("i0", "Oat milk"), ("i1", "Butter"),
    ]  # fmt: skip
    assert shown["profile"][0]["basket_cents"] == 699.0
    nobody = show("customer", customer_id="c1' --")
    assert (nobody["purchases"], nobody["profile"]) == ([], [])


def test_streams_views_and_minutes_are_told(show: Show, shop: Settings) -> None:
    save_stream(
        shop.state,
        StreamState(
            "bronze", rows=7, rows_per_second=3.5, lag=12, lag_unit="offsets", at=time.time()
        ),
    )
    shown = show("live")
    (stream,) = shown["streams"]
    assert (stream["condition"], stream["lag"], stream["rows_per_second"]) == ("running", 12, 3.5)
    assert "process" not in stream
    assert shown["minutes"][0] == {"minute_at": "2026-03-08T20:00:00Z", "valid": 900, "other": 7}
    assert (len(shown["minutes"]), shown["watermark"]) == (30, "2026-03-08T20:00:00Z")
    assert shown["views"][0]["view"] == "gold.sales_hourly"


def test_a_panel_shows_the_next_version_of_a_table(show: Show, shop: Settings) -> None:
    before = show("sales")["total"]["revenue_cents"]
    put(shop, "gold.sales_hourly", [sale(NEWEST, 12345)])
    assert show("sales")["total"]["revenue_cents"] == before + 12345


def test_what_has_not_changed_is_not_read_again(shop: Settings) -> None:
    panels = Panels(shop)
    first = panels.panel("sales", ALL)
    for file in Path(shop.root, "gold", "sales_hourly").glob("*.parquet"):
        file.unlink()
    assert panels.panel("sales", ALL) == first
    with pytest.raises(
        LakeError, match=r"gold\.sales_hourly cannot be read: .*; refresh it, or try"
    ):
        panels.panel("sales", ALL | {"region": "north"})


def test_a_lake_without_tables_says_what_is_missing(tmp_path: Path) -> None:
    panels = Panels(shop_lake(tmp_path / "lake"))
    for name in set(EVERY) - {"prices", "live", "runs"}:
        (missing,) = panels.panel(name, ALL).values()
        assert "is not a table on this disk" in missing
    live = {"streams": [], "minutes": [], "watermark": None, "views": []}
    assert panels.panel("live", ALL) == live
    assert panels.panel("runs", ALL) == {"runs": []}
    shutil.rmtree(tmp_path / "lake")
    assert panels.panel("live", ALL) == live


def test_panels_equal_what_spark_finds_in_gold(
    spark: SparkSession, golden: tuple[Settings, Any]
) -> None:
    settings, _ = golden
    panels = Panels(settings)
    shown = {name: panels.panel(name, ALL) for name in EVERY}
    assert all("missing" not in panel for panel in shown.values())

    def spark_rows(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in query(spark, settings, sql).collect()]

    newest = query(spark, settings, "SELECT MAX(hour_at) AS at FROM gold.sales_hourly").first()[
        "at"
    ]
    since, before = newest - WEEK, newest - 2 * WEEK
    sums = spark_rows(
        f"""SELECT region,
            SUM(CASE WHEN hour_at > TIMESTAMP'{since}' THEN revenue_cents END),
            SUM(CASE WHEN hour_at <= TIMESTAMP'{since}' THEN revenue_cents END)
        FROM gold.sales_hourly WHERE hour_at > TIMESTAMP'{before}' GROUP BY region"""
    )
    told = shown["sales"]["regions"]
    assert {(r["name"], r["revenue_cents"], r["old_revenue_cents"]) for r in told} == set(sums)
    trending = spark_rows(
        "SELECT item_id, score FROM gold.trending_items ORDER BY score DESC LIMIT 3"
    )
    assert [r["score"] for r in shown["items"]["trending"][:3]] == [score for _, score in trending]
    ((out,),) = spark_rows("SELECT COUNT(*) FROM gold.stockout_risk WHERE days_of_cover <= 0")
    assert shown["stock"]["out"] == out
    ((valid,),) = spark_rows("SELECT SUM(valid) FROM silver.batches")
    assert shown["quality"]["total"]["valid"] == valid
    chosen = shown["customers"]["customers"][0]["customer_id"]
    ((lines,),) = spark_rows(
        f"SELECT COUNT(*) FROM silver.purchases WHERE customer_id = '{chosen}'"
    )
    assert len(panels.panel("customer", {"customer_id": chosen})["purchases"]) == min(30, lines)
    assert {view["view"] for view in shown["live"]["views"]} >= {"gold.sales_hourly"}
