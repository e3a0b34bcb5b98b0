"""silver.clicks: who looked at what in which visit."""

from expect import assert_rows

from pipelines.silver.clicks import CLICKS, clicks


def test_a_click_keeps_its_visit_and_its_customer_if_there_is_one(rows) -> None:
    given = [
        {"event_id": "signed in", "session_id": "s1", "customer_id": "c1", "region": "north"},
        {"event_id": "before", "session_id": "s1", "customer_id": None, "region": "north"},
    ]
    made = clicks(rows(CLICKS, given))
    assert tuple(made.columns) == CLICKS.columns
    assert_rows(made, given)


def test_a_click_without_a_visit_or_with_an_overlong_one_is_refused(refused) -> None:
    given = [
        {"event_id": "fine", "session_id": "s" * 128},
        {"event_id": "none", "session_id": None},
        {"event_id": "empty", "session_id": ""},
        {"event_id": "long", "session_id": "s" * 129},
        {"event_id": "line", "session_id": "s\n"},
    ]
    assert refused(CLICKS, given, about=["session_id"]) == {
        "none": ["session_id_missing"],
        "empty": ["session_id_malformed"],
        "long": ["session_id_malformed"],
        "line": ["session_id_malformed"],
    }
