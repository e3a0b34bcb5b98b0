"""gold.price_performance: what each shelf price of an item brought in."""

from datetime import datetime

from expect import assert_rows

VIEW = "gold.price_performance"
MORNING, EVENING = datetime(2017, 3, 1, 9), datetime(2017, 3, 1, 23, 59, 59)
NEXT_DAY = datetime(2017, 3, 2)


def sale(price: int, at: datetime = MORNING, quantity: int = 1, **more: object) -> dict:
    return {
        "item_id": "i1",
        "region": "north",
        "occurred_at": at,
        "price_cents": price,
        "quantity": quantity,
        "amount_cents": price * quantity,
        "currency": "USD",
        **more,
    }


def test_sales_are_summed_per_shelf_price(view_rows) -> None:
    sold = [
        sale(100, quantity=2),
        sale(100, EVENING, amount_cents=80),  # at a discount: the shelf price is the same
        sale(100, NEXT_DAY),
        sale(120, NEXT_DAY, quantity=5),
    ]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"price_cents": 100, "units": 4, "revenue_cents": 380, "purchase_count": 3}
            | {"sale_day_count": 2, "first_sold_at": MORNING, "last_sold_at": NEXT_DAY},
            {"price_cents": 120, "units": 5, "revenue_cents": 600, "purchase_count": 1}
            | {"sale_day_count": 1, "first_sold_at": NEXT_DAY, "last_sold_at": NEXT_DAY},
        ],
    )


def test_regions_and_currencies_stay_apart(view_rows) -> None:
    sold = [sale(100), sale(100, region="south"), sale(100, currency="EUR"), sale(100)]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"region": "north", "currency": "USD", "units": 2},
            {"region": "south", "currency": "USD", "units": 1},
            {"region": "north", "currency": "EUR", "units": 1},
        ],
    )


def test_an_item_that_was_given_away_has_a_price_of_nothing(view_rows) -> None:
    assert_rows(
        view_rows(VIEW, {"silver.purchases": [sale(0)]}), [{"price_cents": 0, "revenue_cents": 0}]
    )
