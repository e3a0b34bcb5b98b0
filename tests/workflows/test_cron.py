"""Quartz cron, beside croniter where the dialects meet."""

from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows.cron import CronError, Quartz

START = datetime(2026, 1, 1, tzinfo=UTC)


def fires(expression: str, count: int, zone: str = "UTC", start: datetime = START) -> list[str]:
    quartz, found, at = Quartz(expression, zone), [], start
    for _ in range(count):
        following = quartz.after(at)
        if following is None:
            break
        at = following
        found.append(f"{at:%Y-%m-%d %H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("0 0 12 * * ?", ["2026-01-01 12:00:00", "2026-01-02 12:00:00"]),
        ("0 15 10 ? * MON-FRI", ["2026-01-01 10:15:00", "2026-01-02 10:15:00"]),
        ("0 0/20 14,18 * * ?", ["2026-01-01 14:00:00", "2026-01-01 14:20:00"]),
        ("30 0-1 0 * * ?", ["2026-01-01 00:00:30", "2026-01-01 00:01:30"]),
        ("0 0 0 L * ?", ["2026-01-31 00:00:00", "2026-02-28 00:00:00"]),
        ("0 0 0 L-3 * ?", ["2026-01-28 00:00:00", "2026-02-25 00:00:00"]),
        ("0 0 0 LW * ?", ["2026-01-30 00:00:00", "2026-02-27 00:00:00"]),
        ("0 0 0 15W * ?", ["2026-01-15 00:00:00", "2026-02-16 00:00:00"]),
        ("0 0 0 1W 8 ?", ["2026-08-03 00:00:00", "2027-08-02 00:00:00"]),
        ("0 0 0 31W 5 ?", ["2026-05-29 00:00:00", "2027-05-31 00:00:00"]),
        ("0 0 0 ? * 6L", ["2026-01-30 00:00:00", "2026-02-27 00:00:00"]),
        ("0 0 0 ? * FRI#3", ["2026-01-16 00:00:00", "2026-02-20 00:00:00"]),
        ("0 0 0 ? * 1", ["2026-01-04 00:00:00", "2026-01-11 00:00:00"]),
        ("0 0 0 ? * L", ["2026-01-03 00:00:00", "2026-01-10 00:00:00"]),
        ("0 0 22-1 1 JAN ?", ["2026-01-01 01:00:00", "2026-01-01 22:00:00"]),
        ("0 0 0 29 2 ?", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 0 1 1 ? 2028-2029", ["2028-01-01 00:00:00", "2029-01-01 00:00:00"]),
        ("0 0 0 1 1 ? 2020", []),
    ],
)
def test_expression_fires_when_it_says(expression: str, wanted: list[str]) -> None:
    assert fires(expression, 2) == wanted


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("0 0 12 * *", "has 5 fields"),
        ("0 0 12 * * *", "put \\? for the day of month or the day of week"),
        ("0 0 12 ? * ?", "put \\? for the day"),
        ("0 60 12 * * ?", "'60' is no minute; it goes from 0 to 59"),
        ("0 0 24 * * ?", "'24' is no hour"),
        ("0 0 0 32 * ?", "'32' is no day of month"),
        ("0 0 0 ? * 8", "'8' is no day of week"),
        ("0 0 0 ? FOO MON", "'FOO' is no month"),
        ("0 0/0 0 * * ?", "a step is a number above 0"),
        ("0 x 0 * * ?", "'X' is no minute"),
        ("0 0, 0 * * ?", "an empty minute"),
    ],
)
def test_malformed_expression_is_named(expression: str, says: str) -> None:
    with pytest.raises(CronError, match=says):
        Quartz(expression)


def test_time_that_the_clock_skips_fires_as_much_later() -> None:
    start = datetime(2026, 3, 28, tzinfo=UTC)  # Berlin goes from 2:00 to 3:00 on the 29th
    wanted = ["2026-03-28 01:30:00", "2026-03-29 01:30:00", "2026-03-30 00:30:00"]
    assert fires("0 30 2 * * ?", 3, "Europe/Berlin", start) == wanted


def test_time_that_comes_twice_fires_once() -> None:
    start = datetime(2026, 10, 24, 12, tzinfo=UTC)  # Berlin goes from 3:00 to 2:00 on the 25th
    wanted = ["2026-10-25 00:30:00", "2026-10-26 01:30:00"]
    assert fires("0 30 2 * * ?", 2, "Europe/Berlin", start) == wanted


def test_every_hour_of_a_day_that_lacks_one() -> None:
    start = datetime(2026, 3, 29, tzinfo=UTC)
    assert fires("0 30 * * * ?", 3, "Europe/Berlin", start) == [
        *("2026-03-29 00:30:00", "2026-03-29 01:30:00", "2026-03-29 02:30:00")
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["0", "5,35", "10-20/5", "*"]),
    st.sampled_from(["0", "*/7", "1,13", "8-18"]),
    st.sampled_from(["*", "1", "31", "10-20"]),
    st.sampled_from(["*", "2", "1-6/2"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_ordinary_expressions_agree_with_croniter(
    minute: str, hour: str, day: str, month: str, start: datetime
) -> None:
    expected = croniter(f"{minute} {hour} {day} {month} *", start)
    start = start.replace(tzinfo=UTC)
    quartz = Quartz(f"0 {minute} {hour} {day} {month} ?")
    if day == "31" and month == "2":
        assert quartz.after(start) is None
        return
    for _ in range(3):
        following = quartz.after(start)
        assert following is not None
        assert following.replace(tzinfo=None) == expected.get_next(datetime)
        start = following
    assert quartz.after(start - timedelta(seconds=1)) == start
