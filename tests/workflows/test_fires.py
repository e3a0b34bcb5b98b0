"""When triggers fire, look by look: no clock, no daemon."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from workflows.fires import look
from workflows.model import Trigger

START = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
HOUR = 3600.0


class Watched:
    """A trigger that a test looks at from time to time."""

    def __init__(
        self, kind: str, settings: dict[str, Any], version_of: Callable[[str], int | None]
    ) -> None:
        self.trigger = Trigger(kind, settings)
        self.version_of = version_of
        self.position: dict[str, Any] | None = None
        self.next_at: float | None = None

    def at(self, seconds: float) -> dict[str, Any] | None:
        """What fires, so long after the start."""
        seen = look(self.trigger, self.position, START + seconds, self.version_of)
        self.position, self.next_at = seen.position, seen.next_at
        return seen.fire


def watched(kind: str, versions: dict[str, int] | None = None, **settings: Any) -> Watched:
    return Watched(kind, settings, lambda name: (versions or {}).get(name))


def test_schedule_fires_at_its_times_and_says_which() -> None:
    hourly = watched("schedule", quartz_cron_expression="0 0 * * * ?", timezone_id="UTC")
    assert hourly.at(0) is None
    assert hourly.next_at == START + HOUR
    assert hourly.at(HOUR - 1) is None
    assert hourly.at(HOUR + 0.5) == {"type": "schedule", "time": START + HOUR}
    assert hourly.at(HOUR + 1) is None


def test_of_missed_fires_the_latest_is_made_up_for_once() -> None:
    hourly = watched("schedule", quartz_cron_expression="0 0 * * * ?", timezone_id="UTC")
    hourly.at(0)
    assert hourly.at(1000.5 * HOUR) == {"type": "schedule", "time": START + 1000 * HOUR}
    assert hourly.at(1000.6 * HOUR) is None
    assert hourly.next_at == START + 1001 * HOUR


def test_schedule_keeps_ten_seconds_between_runs() -> None:
    often = watched("schedule", quartz_cron_expression="* * * * * ?", timezone_id="UTC")
    often.at(0)
    assert [second for second in range(1, 32) if often.at(second)] == [1, 11, 21, 31]


@pytest.mark.parametrize(
    ("unit", "seconds"), [("MINUTES", 60), ("HOURS", 3600), ("DAYS", 86400), ("WEEKS", 604800)]
)
def test_periodic_fires_on_its_beat_however_late_it_is_looked_at(unit: str, seconds: int) -> None:
    trigger = watched("periodic", interval=2, unit=unit)
    assert trigger.at(0) is None
    assert trigger.next_at == START + 2 * seconds
    fire = trigger.at(2 * seconds + 7)
    assert fire == {"type": "periodic", "time": START + 2 * seconds}
    assert trigger.next_at == START + 4 * seconds
    assert trigger.at(9 * seconds) is not None
    assert trigger.next_at == START + 10 * seconds


def test_new_files_fire_and_files_written_again_do_not(tmp_path: Path) -> None:
    (tmp_path / "old.csv").touch()
    arrival = watched("file_arrival", url=f"file:{tmp_path}")
    assert arrival.at(0) is None  # what was there before is no arrival
    assert arrival.at(10) is None
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "new.csv").touch()
    fire = arrival.at(20)
    assert fire == {"type": "file_arrival", "file_arrival": {"location": f"file:{tmp_path}"}}
    (tmp_path / "sub" / "new.csv").write_text("changed")
    assert arrival.at(30) is None


def test_arrival_waits_for_the_last_file_and_between_runs(tmp_path: Path) -> None:
    arrival = watched(
        "file_arrival",
        url=str(tmp_path),
        wait_after_last_change_seconds=60,
        min_time_between_triggers_seconds=300,
    )
    arrival.at(0)
    (tmp_path / "a").touch()
    assert arrival.at(1000) is None
    (tmp_path / "b").touch()
    assert arrival.at(1050) is None
    assert arrival.at(1100) is None
    assert arrival.at(1110) is not None
    (tmp_path / "c").touch()
    assert arrival.at(1120) is None
    assert arrival.at(1400) is None
    assert arrival.at(1411) is not None


def test_table_update_fires_on_any_or_on_all() -> None:
    versions = {"a": 1, "b": 1}
    names = ["a", "b"]
    any_of = watched("table_update", versions, table_names=names)
    all_of = watched("table_update", versions, table_names=names, condition="ALL_UPDATED")
    assert (any_of.at(0), all_of.at(0)) == (None, None)
    versions["a"] = 2
    updated = {"type": "table_update", "table_update": {"updated_tables": ["a"]}}
    assert (any_of.at(10), all_of.at(10)) == (updated, None)
    assert any_of.at(20) is None
    versions["b"] = 5
    fire = all_of.at(30)
    assert fire is not None
    assert fire["table_update"]["updated_tables"] == ["a", "b"]
    assert all_of.at(40) is None


def test_table_that_is_made_counts_as_updated() -> None:
    versions: dict[str, int] = {}
    trigger = watched("table_update", versions, table_names=["a"])
    trigger.at(0)
    versions["a"] = 0
    assert trigger.at(10) is not None
