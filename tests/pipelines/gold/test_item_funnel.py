"""gold.item_funnel: from looking to buying, item by item and day by day."""

from datetime import date, datetime

from expect import assert_rows

VIEW = "gold.item_funnel"
FIRST, SECOND = date(2017, 3, 1), date(2017, 3, 2)


def seen(item: str, at: datetime, **more: int) -> dict[str, object]:
    return {"item_id": item, "occurred_at": at, **more}


def test_conversion_is_purchases_per_view_of_the_day(view_rows) -> None:
    morning, last_moment = datetime(2017, 3, 1, 8), datetime(2017, 3, 1, 23, 59, 59, 999999)
    midnight = datetime(2017, 3, 2)
    made = view_rows(
        VIEW,
        {
            "silver.clicks": [
                *[seen("i1", morning)] * 3,
                seen("i1", last_moment),
                seen("i1", midnight),
            ],
            "silver.purchases": [seen("i1", last_moment, quantity=5)],
        },
    )
    assert_rows(
        made,
        [
            {"event_date": FIRST, "click_count": 4, "purchase_count": 1, "units": 5}
            | {"conversion": 0.25},
            {"event_date": SECOND, "click_count": 1, "purchase_count": 0, "units": 0}
            | {"conversion": 0.0},
        ],
    )


def test_a_purchase_nobody_clicked_for_has_no_conversion(view_rows) -> None:
    bought = [seen("i1", datetime(2017, 3, 1), quantity=2)]
    assert_rows(
        view_rows(VIEW, {"silver.purchases": bought}),
        [{"click_count": 0, "purchase_count": 1, "units": 2, "conversion": None}],
    )
