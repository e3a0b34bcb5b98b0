"""silver.promotions: what was placed where, and for how long."""

import pytest
from expect import assert_rows

from pipelines.silver.promotions import PLACEMENTS, PROMOTIONS, promotions


def test_a_promotion_keeps_its_placement_and_days(rows) -> None:
    given = [
        {"event_id": place, "placement": place, "duration_days": days}
        for days, place in enumerate(PLACEMENTS, start=1)
    ]
    made = promotions(rows(PROMOTIONS, given))
    assert tuple(made.columns) == PROMOTIONS.columns
    assert_rows(made, given)


@pytest.mark.parametrize("column", ["placement", "duration_days"])
def test_a_promotion_without_placement_or_days_is_refused(refused, column: str) -> None:
    given = [{"event_id": "known", "placement": "both", "duration_days": 366}]
    given += [{**given[0], "event_id": "unknown", column: None}]
    assert refused(PROMOTIONS, given, about=[column]) == {"unknown": [f"{column}_missing"]}


def test_unknown_placements_and_absurd_durations_are_refused(refused) -> None:
    given = [
        {"event_id": "somewhere", "placement": "window", "duration_days": 7},
        {"event_id": "never", "placement": "mailer", "duration_days": 0},
        {"event_id": "for ever", "placement": "display", "duration_days": 367},
    ]
    assert refused(PROMOTIONS, given, about=["placement", "duration_days"]) == {
        "somewhere": ["placement_unknown"],
        "never": ["duration_days_out_of_range"],
        "for ever": ["duration_days_out_of_range"],
    }
