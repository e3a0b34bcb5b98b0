"""Quartz cron expressions: second minute hour day-of-month month day-of-week [year].

No maintained Python library reads all of the dialect (`LW`, `L-3`, Sunday as 1, a year), so this
one does. A time that a change of the clock skips fires as much later as the clock skipped; a time
that comes twice fires the first time only.
"""

import calendar
import re
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import product
from zoneinfo import ZoneInfo

MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS = (
    ("second", 0, 59),
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 1, 7),
    ("year", 1970, 2199),
)
YEARS_AHEAD = 100
NEAR = timedelta(hours=3)  # longer than any change of a clock
DAY_OF_MONTH = re.compile(r"L(?:-(\d{1,2}))?|(\d{1,2})W|(LW)")
DAY_OF_WEEK = re.compile(r"(\w{1,3})L|(\w{1,3})#([1-5])|L")


class CronError(ValueError):
    """An expression is not Quartz cron; the message says where."""


@lru_cache(64)
def quartz(expression: str, zone: str) -> "Quartz":
    """The expression, read once."""
    return Quartz(expression, zone)


class Quartz:
    """One expression in one time zone.

    Raises:
        CronError: the expression is malformed.
    """

    def __init__(self, expression: str, zone: str = "UTC") -> None:
        parts = expression.upper().split()
        if len(parts) not in (6, 7):
            raise CronError(
                f"'{expression}' has {len(parts)} fields; Quartz cron has 6 or 7: "
                "second minute hour day month weekday [year]"
            )
        if (parts[3] == "?") == (parts[5] == "?"):
            raise CronError(f"'{expression}': put ? for the day of month or the day of week")
        values = [_values(part, *field) for part, field in zip(parts, FIELDS, strict=False)]
        self._times = [time(h, m, s) for h, m, s in product(values[2], values[1], values[0])]
        self._days, self._months, self._weekdays = values[3:6]
        self._day, self._weekday = parts[3], parts[5]
        self._years = set(values[6]) if len(parts) == 7 else None
        self._zone = ZoneInfo(zone)

    def after(self, moment: datetime) -> datetime | None:
        """The first time after `moment`, in UTC; None if there is none."""
        wall = moment.astimezone(self._zone).replace(tzinfo=None)
        around = [(moment + hours).astimezone(self._zone).utcoffset() for hours in (-NEAR, NEAR)]
        if around[0] != around[1]:
            wall -= NEAR  # where the clock goes back, later wall times come first
        best: datetime | None = None
        for candidate in self._from(wall):
            at = candidate.replace(tzinfo=self._zone).astimezone(UTC)
            if best is not None:
                # Only a skipped time may be later than one that follows it.
                if candidate > best.astimezone(self._zone).replace(tzinfo=None):
                    return best
                best = min(best, at) if at > moment else best
            elif at > moment:
                best = at
                if at.astimezone(self._zone).replace(tzinfo=None) == candidate:
                    return best
        return best

    def _from(self, wall: datetime) -> Iterator[datetime]:
        """Every matching wall time from `wall` on."""
        for day in self._days_from(wall.date()):
            first = bisect_left(self._times, wall.time()) if day == wall.date() else 0
            for at in self._times[first:]:
                yield datetime.combine(day, at)

    def _days_from(self, first: date) -> Iterator[date]:
        for year in range(first.year, first.year + YEARS_AHEAD):
            if self._years is not None and year not in self._years:
                continue
            for month in self._months:
                if (year, month) >= (first.year, first.month):
                    yield from (day for day in self._days_of(year, month) if day >= first)

    def _days_of(self, year: int, month: int) -> list[date]:
        """The matching days of a month."""
        last = calendar.monthrange(year, month)[1]
        days = [date(year, month, number) for number in range(1, last + 1)]
        if self._weekday == "?":
            special = DAY_OF_MONTH.fullmatch(self._day)
            if special is None:
                return [day for day in days if day.day in self._days]
            back, nearest, last_weekday = special.groups()
            if nearest:
                return [_weekday_near(days[min(int(nearest), last) - 1])]
            if last_weekday:
                return [_weekday_near(days[-1])]
            return days[-1 - int(back or 0) :][:1]
        special = DAY_OF_WEEK.fullmatch(self._weekday)
        if special is None:
            return [day for day in days if _number(day) in self._weekdays]
        ending, nth, count = special.groups()
        wanted = _day_number(ending or nth or "SAT")
        same = [day for day in days if _number(day) == wanted]
        if nth:
            return same[int(count) - 1 : int(count)]
        return same[-1:] if ending else same


def _number(day: date) -> int:
    """Sunday is 1."""
    return day.isoweekday() % 7 + 1


def _weekday_near(day: date) -> date:
    """The nearest weekday within the same month."""
    shift = {6: -1, 7: 1}.get(day.isoweekday(), 0)
    near = day + timedelta(days=shift)
    # The first on a Saturday becomes Monday the third; the last on a Sunday, Friday.
    return near if near.month == day.month else day - timedelta(days=2 * shift)


def _day_number(text: str) -> int:
    return DAYS.index(text) + 1 if text in DAYS else int(text)


def _values(part: str, name: str, low: int, high: int) -> list[int]:
    """The numbers that a field stands for, in order."""
    if part == "?" and name.startswith("day"):
        return list(range(low, high + 1))
    special = {"day of month": DAY_OF_MONTH, "day of week": DAY_OF_WEEK}.get(name)
    if special and special.fullmatch(part):
        for text in re.findall(r"[A-Z]{3}|\d+", part.split("#")[0]):
            if not (name == "day of month" and part.startswith("L")):
                _one(text, name, low, high)
        return []
    found: set[int] = set()
    for item in part.split(","):
        found |= _item(item, name, low, high)
    return sorted(found)


def _item(item: str, name: str, low: int, high: int) -> set[int]:
    span, _, step_text = item.partition("/")
    if "/" in item and not (step_text.isdigit() and int(step_text) > 0):
        raise CronError(f"'{item}' is no {name}: a step is a number above 0")
    step = int(step_text or 1)
    if span in ("*", ""):
        if not item:
            raise CronError(f"an empty {name}")
        return set(range(low, high + 1, step))
    first, dash, last = span.partition("-")
    start = _one(first, name, low, high)
    if not dash:
        return set(range(start, high + 1, step)) if step_text else {start}
    end = _one(last, name, low, high)
    if end >= start:
        return set(range(start, end + 1, step))
    # A range may go round, as 22-2 or FRI-MON.
    return {(n - low) % (high - low + 1) + low for n in range(start, end + high - low + 2, step)}


def _one(text: str, name: str, low: int, high: int) -> int:
    if name == "month" and text.capitalize() in MONTHS:
        return MONTHS[text.capitalize()]
    if name == "day of week" and text in DAYS:
        return DAYS.index(text) + 1
    if not text.isdigit() or not low <= int(text) <= high:
        raise CronError(f"'{text}' is no {name}; it goes from {low} to {high}")
    return int(text)
