"""gold.sales_hourly: money and units by category, region, hour and currency."""

from datetime import datetime

from expect import assert_rows

VIEW = "gold.sales_hourly"
NINE, TEN = datetime(2017, 3, 1, 9), datetime(2017, 3, 1, 10)


def sale(at: datetime, quantity: int, cents: int, **more: object) -> dict[str, object]:
    return {
        "occurred_at": at,
        "quantity": quantity,
        "amount_cents": cents,
        "category": "DAIRY",
        "region": "north",
        "currency": "USD",
        **more,
    }


def test_sales_of_an_hour_are_summed_and_the_next_hour_is_its_own(view_rows) -> None:
    sold = [
        sale(NINE, 1, 100),
        sale(datetime(2017, 3, 1, 9, 59, 59), 2, 250),
        sale(TEN, 4, 400),
    ]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"hour_at": NINE, "units": 3, "revenue_cents": 350, "purchase_count": 2},
            {"hour_at": TEN, "units": 4, "revenue_cents": 400, "purchase_count": 1},
        ],
    )


def test_money_of_two_currencies_is_never_added(view_rows) -> None:
    sold = [sale(NINE, 1, 100), sale(NINE, 1, 90, currency="EUR"), sale(NINE, 1, 5)]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"currency": "USD", "revenue_cents": 105},
            {"currency": "EUR", "revenue_cents": 90},
        ],
    )


def test_sales_without_a_category_count_as_unknown(view_rows) -> None:
    sold = [
        sale(NINE, 1, 100, category=None),
        sale(NINE, 2, 100, category="UNKNOWN"),
        sale(NINE, 4, 100, region="south"),
    ]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"category": "UNKNOWN", "region": "north", "units": 3},
            {"category": "DAIRY", "region": "south", "units": 4},
        ],
    )
