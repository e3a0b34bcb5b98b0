"""gold.customer_profile: recency, frequency, money and favourite categories of a customer."""

from datetime import date, datetime

from expect import assert_rows

VIEW = "gold.customer_profile"


def sale(customer: str | None, basket: str, day: int, cents: int = 100, **more: object) -> dict:
    return {
        "customer_id": customer,
        "basket_id": basket,
        "occurred_at": datetime(2017, 3, day, 9),
        "quantity": 1,
        "amount_cents": cents,
        "currency": "USD",
        "category": "DAIRY",
        **more,
    }


def test_a_customer_is_told_by_dates_baskets_and_money(view_rows) -> None:
    sold = [
        sale("c1", "b1", 5),
        sale("c1", "b1", 5, quantity=3, cents=50),
        sale("c1", "b2", 5, cents=200),
        sale("c1", "b3", 2, cents=50),  # arrived late
        sale("c2", "b4", 9),
    ]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {
                "customer_id": "c1",
                "first_purchase_date": date(2017, 3, 2),
                "last_purchase_date": date(2017, 3, 5),
                "purchase_day_count": 2,
                "basket_count": 3,
                "purchase_count": 4,
                "units": 6,
                "spent_cents": 400,
                "basket_cents": 400 / 3,
            },
            {
                "customer_id": "c2",
                "first_purchase_date": date(2017, 3, 9),
                "last_purchase_date": date(2017, 3, 9),
                "purchase_day_count": 1,
                "basket_count": 1,
                "purchase_count": 1,
                "units": 1,
                "spent_cents": 100,
                "basket_cents": 100.0,
            },
        ],
    )


def test_favourites_are_by_lines_then_money_then_name(view_rows) -> None:
    sold = [
        sale("c1", "b1", 5, category="BAKERY"),
        sale("c1", "b1", 5, category="APPLES"),
        sale("c1", "b1", 5, category="MEAT", cents=900),
        sale("c1", "b2", 5, category=None),
        sale("c1", "b2", 5, category=None),
    ]
    favourites = {"first_category": "UNKNOWN", "second_category": "MEAT"}
    for arrived in (sold, sold[::-1]):
        assert_rows(
            view_rows(VIEW, {"silver.purchases": arrived}),
            [{**favourites, "third_category": "APPLES"}],
        )


def test_who_buys_of_one_category_has_no_second(view_rows) -> None:
    assert_rows(
        view_rows(VIEW, {"silver.purchases": [sale("c1", "b1", 5)]}),
        [{"first_category": "DAIRY", "second_category": None, "third_category": None}],
    )


def test_guests_have_no_profile_and_currencies_one_each(view_rows) -> None:
    sold = [sale(None, "b1", 5), sale("c1", "b2", 5), sale("c1", "b3", 6, currency="EUR")]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"customer_id": "c1", "currency": "USD", "spent_cents": 100},
            {"customer_id": "c1", "currency": "EUR", "spent_cents": 100},
        ],
    )
