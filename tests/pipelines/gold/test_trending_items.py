"""gold.trending_items: the latest day of an item beside its own past."""

from datetime import datetime, timedelta
from math import sqrt

import pytest
from expect import assert_rows

VIEW = "gold.trending_items"
NOW = datetime(2017, 3, 31, 6)
DAY = timedelta(days=1)


def seen(item: str, age: timedelta, times: int = 1) -> list[dict[str, object]]:
    return [{"item_id": item, "occurred_at": NOW - age}] * times


def score(count: int, usual: float) -> dict[str, object]:
    return {"event_count": count, "usual_count": usual, "score": (count - usual) / sqrt(usual + 1)}


def test_views_and_purchases_of_the_latest_day_are_set_beside_the_usual_ones(view_rows) -> None:
    given = {
        "silver.clicks": [*seen("i1", 0 * DAY, 3), *seen("i1", 5 * DAY, 105), *seen("i2", DAY / 2)],
        "silver.purchases": seen("i1", DAY / 2, 2),
    }
    assert_rows(
        view_rows(VIEW, given),
        [
            {"item_id": "i1", "as_of_at": NOW, **score(5, 8.0)},
            {"item_id": "i2", "as_of_at": NOW, **score(1, 0.0)},
        ],
    )


@pytest.mark.parametrize(
    ("age", "usual"),
    [
        (DAY - timedelta(seconds=1), None),  # the latest day itself
        (DAY, 8 / 105),
        (8 * DAY - timedelta(seconds=1), 8 / 105),
        (8 * DAY, 4 / 105),
        (15 * DAY, 2 / 105),
        (22 * DAY, 1 / 105),
        (29 * DAY - timedelta(seconds=1), 1 / 105),
        (29 * DAY, 0.0),
    ],
    ids=str,
)
def test_the_past_counts_less_the_older_it_is(view_rows, age: timedelta, usual) -> None:
    made = view_rows(VIEW, {"silver.clicks": [*seen("i1", 0 * DAY), *seen("i1", age)]})
    assert_rows(made, [score(2, 0.0) if usual is None else score(1, usual)])


def test_an_item_that_kept_its_pace_scores_nothing(view_rows) -> None:
    daily = [row for day in range(29) for row in seen("i1", day * DAY, 4)]
    assert_rows(view_rows(VIEW, {"silver.clicks": daily}), [score(4, 4.0)])


def test_who_was_not_seen_on_the_latest_day_does_not_trend(view_rows) -> None:
    made = view_rows(VIEW, {"silver.clicks": [*seen("i1", 0 * DAY), *seen("old", DAY, 99)]})
    assert_rows(made, [{"item_id": "i1"}])


def test_without_events_nothing_trends(view_rows) -> None:
    assert view_rows(VIEW, {}).isEmpty()
