"""gold.price_history: intervals that follow each other without a gap and without an overlap."""

from datetime import datetime

from expect import assert_rows

VIEW = "gold.price_history"


def at(hour: int) -> datetime:
    return datetime(2017, 3, 1, hour)


def change(hour: int, cents: int, **more: object) -> dict[str, object]:
    return {
        "event_id": f"{hour:02}",
        "item_id": "i1",
        "region": "north",
        "occurred_at": at(hour),
        "price_cents": cents,
        "currency": "USD",
        **more,
    }


def interval(start: int, end: int | None, cents: int, **more: object) -> dict[str, object]:
    until = None if end is None else at(end)
    return {"valid_from_at": at(start), "valid_until_at": until, "price_cents": cents, **more}


def test_a_price_holds_until_the_next_one_however_late_it_arrives(view_rows) -> None:
    changes = [change(9, 100), change(15, 300), change(12, 200)]
    assert_rows(
        view_rows(VIEW, {"silver.price_changes": changes}),
        [interval(9, 12, 100), interval(12, 15, 200), interval(15, None, 300)],
    )


def test_each_item_and_region_has_a_history_of_its_own(view_rows) -> None:
    changes = [change(9, 100), change(10, 90, region="south"), change(11, 80, item_id="i2")]
    assert_rows(
        view_rows(VIEW, {"silver.price_changes": changes}),
        [
            interval(9, None, 100, item_id="i1", region="north"),
            interval(10, None, 90, item_id="i1", region="south"),
            interval(11, None, 80, item_id="i2", region="north"),
        ],
    )


def test_of_changes_at_one_instant_the_one_that_is_the_current_price_holds(view_rows) -> None:
    tied = [
        change(9, 100, event_id="b"),
        change(9, 200, event_id="c", currency="EUR"),
        change(9, 300, event_id="a"),
    ]
    for arrived in (tied, tied[::-1]):
        given = {"silver.price_changes": arrived}
        held = [{"price_cents": 200, "currency": "EUR"}]
        assert_rows(view_rows(VIEW, given), [interval(9, None, 200, currency="EUR")])
        assert_rows(view_rows("gold.current_prices", given), held)
