"""gold.promotion_lift: units a day with a promotion beside those without."""

from datetime import datetime

from expect import assert_rows

VIEW = "gold.promotion_lift"
SALES, PROMOTED = "silver.purchases", "silver.promotions"


def sale(day: int, units: int, item: str = "i1", region: str = "north") -> dict[str, object]:
    at = datetime(2017, 3, day, 12)
    return {"item_id": item, "region": region, "occurred_at": at, "quantity": units}


def promotion(day: int, days: int, placement: str, **more: object) -> dict[str, object]:
    return {
        "item_id": "i1",
        "region": "north",
        "occurred_at": datetime(2017, 3, day),
        "duration_days": days,
        "placement": placement,
        **more,
    }


def test_units_a_day_are_compared_with_the_days_without_any_promotion(view_rows) -> None:
    given = {
        # The 1st to the 10th: 3 days on display, 2 in the mailer, 1 with both, 4 others.
        SALES: [sale(1, 2), sale(3, 5), sale(5, 4), sale(6, 4), sale(8, 3), sale(10, 2)],
        PROMOTED: [
            promotion(3, 3, "display"),
            promotion(6, 1, "both"),
            promotion(7, 2, "mailer"),
        ],
    }
    assert_rows(
        view_rows(VIEW, given),
        [
            {
                "display_day_count": 3,
                "display_units": 9,
                "mailer_day_count": 2,
                "mailer_units": 3,
                "both_day_count": 1,
                "both_units": 4,
                "other_day_count": 4,
                "other_units": 4,
                "display_lift": 3.0,
                "mailer_lift": 1.5,
                "both_lift": 4.0,
            }
        ],
    )


def test_a_display_and_a_mailer_that_overlap_are_both_on_the_days_they_share(view_rows) -> None:
    promoted = [promotion(1, 4, "display"), promotion(3, 3, "mailer"), promotion(3, 3, "mailer")]
    assert_rows(
        view_rows(VIEW, {SALES: [sale(2, 1), sale(3, 1)], PROMOTED: promoted}),
        [
            {"display_day_count": 2, "both_day_count": 2, "mailer_day_count": 1}
            | {"display_units": 1, "both_units": 1, "mailer_units": 0},
        ],
    )


def test_without_other_sales_or_without_such_days_there_is_no_lift(view_rows) -> None:
    given = {
        SALES: [sale(1, 5), sale(1, 5, item="i2"), sale(2, 5, item="i2")],
        PROMOTED: [promotion(1, 1, "display"), promotion(1, 1, "mailer", item_id="i2")],
    }
    assert_rows(
        view_rows(VIEW, given),
        [
            {"item_id": "i1", "display_lift": None, "mailer_lift": None, "both_lift": None},
            {"item_id": "i2", "display_lift": None, "mailer_lift": 1.0, "both_lift": None},
        ],
    )


def test_regions_stay_apart_and_items_never_promoted_are_left_out(view_rows) -> None:
    given = {
        SALES: [sale(1, 1), sale(2, 1), sale(1, 9, region="south"), sale(1, 9, item="i2")],
        PROMOTED: [promotion(2, 1, "both")],
    }
    assert_rows(
        view_rows(VIEW, given),
        [{"item_id": "i1", "region": "north", "both_lift": 1.0, "other_units": 1}],
    )
