"""gold.stockout_risk: how long the stock lasts if it goes on selling as it did."""

from datetime import datetime, timedelta

from expect import assert_rows

VIEW = "gold.stockout_risk"
NOW = datetime(2017, 3, 31)
STOCK, SALES = "silver.inventory_changes", "silver.purchases"


def stock(units: int, item: str = "i1", region: str = "north") -> dict[str, object]:
    at = datetime(2017, 1, 1)
    return {"item_id": item, "region": region, "occurred_at": at, "delta_quantity": units}


def sale(units: int, days_ago: float = 0, item: str = "i1", region: str = "north") -> dict:
    at = NOW - timedelta(days=days_ago)
    return {"item_id": item, "region": region, "occurred_at": at, "quantity": units}


def test_cover_is_stock_over_the_rate_of_the_last_four_weeks(view_rows) -> None:
    given = {
        STOCK: [stock(100), stock(50, region="south")],
        SALES: [sale(3), sale(4, 27.9), sale(9, 28), sale(2, 1, region="south")],
    }
    assert_rows(
        view_rows(VIEW, given),
        [
            {"region": "north", "quantity": 84, "units_sold": 7, "units_per_day": 0.25}
            | {"days_of_cover": 336.0, "as_of_at": NOW},
            {"region": "south", "quantity": 48, "units_sold": 2, "units_per_day": 2 / 28}
            | {"days_of_cover": 672.0, "as_of_at": NOW},
        ],
    )


def test_what_is_sold_out_or_overdrawn_has_no_cover(view_rows) -> None:
    given = {STOCK: [stock(3), stock(1, "i2")], SALES: [sale(3), sale(4, item="i2")]}
    assert_rows(
        view_rows(VIEW, given),
        [
            {"item_id": "i1", "quantity": 0, "days_of_cover": 0.0},
            {"item_id": "i2", "quantity": -3, "days_of_cover": 0.0},
        ],
    )


def test_what_did_not_sell_lately_or_keeps_no_stock_is_not_at_risk(view_rows) -> None:
    given = {
        STOCK: [stock(9), stock(9, "slow"), stock(9, "unsold")],
        SALES: [sale(1), sale(1, 40, item="slow"), sale(1, item="no record")],
    }
    assert_rows(view_rows(VIEW, given), [{"item_id": "i1", "quantity": 8}])
