"""gold.current_prices: the last price by event time, however late it arrived."""

from datetime import datetime

from expect import assert_rows

VIEW = "gold.current_prices"


def change(item: str, region: str, hour: int, cents: int, **more: object) -> dict[str, object]:
    at = datetime(2017, 3, 1, hour)
    return {
        "event_id": f"{hour:02}",
        "item_id": item,
        "region": region,
        "occurred_at": at,
        "price_cents": cents,
        "currency": "USD",
        **more,
    }


def test_the_latest_change_holds_even_if_an_older_one_arrives_later(view_rows) -> None:
    arrived = [
        change("i1", "north", 12, 200),
        change("i1", "north", 15, 300, currency="EUR"),
        change("i1", "north", 9, 100),  # late
        change("i1", "south", 10, 110),
        change("i2", "north", 8, 50),
    ]
    assert_rows(
        view_rows(VIEW, {"silver.price_changes": arrived}),
        [
            {"item_id": "i1", "region": "north", "price_cents": 300, "currency": "EUR"}
            | {"changed_at": datetime(2017, 3, 1, 15)},
            {"item_id": "i1", "region": "south", "price_cents": 110, "currency": "USD"}
            | {"changed_at": datetime(2017, 3, 1, 10)},
            {"item_id": "i2", "region": "north", "price_cents": 50, "currency": "USD"}
            | {"changed_at": datetime(2017, 3, 1, 8)},
        ],
    )


def test_changes_at_one_instant_are_decided_by_event_id_in_any_order(view_rows) -> None:
    tied = [
        change("i1", "north", 9, 100, event_id="a", currency="EUR"),
        change("i1", "north", 9, 200, event_id="b"),
    ]
    for arrived in (tied, tied[::-1]):
        assert_rows(
            view_rows(VIEW, {"silver.price_changes": arrived}),
            [{"price_cents": 200, "currency": "USD"}],
        )


def test_without_changes_there_are_no_prices(view_rows) -> None:
    assert view_rows(VIEW, {}).isEmpty()
