"""silver.price_changes: what an item costs from now on."""

from expect import assert_rows

from pipelines.silver.price_changes import PRICE_CHANGES, price_changes


def test_a_price_keeps_its_currency_and_its_place(rows) -> None:
    given = [{"item_id": "i1", "region": "north", "price_cents": 150, "currency": "USD"}]
    made = price_changes(rows(PRICE_CHANGES, given))
    assert tuple(made.columns) == PRICE_CHANGES.columns
    assert_rows(made, given)


def test_a_price_of_nothing_and_one_without_currency_are_refused(refused) -> None:
    given = [
        {"event_id": "cheapest", "price_cents": 1, "currency": "USD"},
        {"event_id": "free", "price_cents": 0, "currency": "USD"},
        {"event_id": "none", "price_cents": None, "currency": "USD"},
        {"event_id": "of what", "price_cents": 1, "currency": None},
        {"event_id": "euros", "price_cents": 1, "currency": "Euro"},
    ]
    assert refused(PRICE_CHANGES, given, about=["price_cents", "currency"]) == {
        "free": ["price_cents_out_of_range"],
        "none": ["price_cents_missing"],
        "of what": ["currency_missing"],
        "euros": ["currency_unknown"],
    }
