"""silver.purchases: the line's amount, guests, and rows that its checks refuse."""

from expect import assert_rows

from pipelines.silver.purchases import PURCHASES, purchases


def test_a_line_without_an_amount_costs_quantity_times_price(rows) -> None:
    given = rows(
        PURCHASES,
        [
            {"event_id": "paid", "quantity": 3, "price_cents": 150, "amount_cents": 400},
            {"event_id": "free", "quantity": 3, "price_cents": 150, "amount_cents": 0},
            {"event_id": "shelf", "quantity": 3, "price_cents": 150, "amount_cents": None},
            {"event_id": "unknown", "quantity": 3, "price_cents": None, "amount_cents": None},
        ],
    )
    made = purchases(given)
    assert tuple(made.columns) == PURCHASES.columns
    assert_rows(
        made,
        [
            {"event_id": "paid", "amount_cents": 400},
            {"event_id": "free", "amount_cents": 0},
            {"event_id": "shelf", "amount_cents": 450},
            {"event_id": "unknown", "amount_cents": None},
        ],
    )


def test_a_guest_and_an_unknown_category_stay_null(rows) -> None:
    given = rows(PURCHASES, [{"customer_id": None, "category": None, "item_id": "i1"}])
    assert_rows(purchases(given), [{"customer_id": None, "category": None, "item_id": "i1"}])


def test_numbers_at_their_limits_pass_and_beyond_are_refused(rows, refused) -> None:
    fine = {"quantity": 1, "price_cents": 0}
    limit = 100_000_000_000
    given = [
        {**fine, "event_id": "free"},
        {**fine, "event_id": "most units", "quantity": 1_000_000},
        {**fine, "event_id": "dearest", "price_cents": limit},
        {**fine, "event_id": "no units", "quantity": 0},
        {**fine, "event_id": "too many", "quantity": 1_000_001},
        {**fine, "event_id": "too dear", "price_cents": limit + 1, "amount_cents": 1},
        {**fine, "event_id": "refund", "amount_cents": -1},
        {**fine, "event_id": "two of the dearest", "quantity": 2, "price_cents": limit},
        {**fine, "event_id": "paid less", "quantity": 2, "price_cents": limit, "amount_cents": 5},
    ]
    numbers = ("quantity", "price_cents", "amount_cents")
    assert refused(PURCHASES, given, about=numbers) == {
        "no units": ["quantity_out_of_range"],
        "too many": ["quantity_out_of_range"],
        "too dear": ["price_cents_out_of_range"],
        "refund": ["amount_cents_out_of_range"],
        "two of the dearest": ["amount_cents_out_of_range"],
    }
