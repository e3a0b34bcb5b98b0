"""When a trigger starts its job: each kind as a function of where it stood and what it sees.

A position is plain JSON, kept between two looks, so a daemon that was away knows what it missed.
Of fires that were missed the latest is made up for, once.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from workflows.cron import quartz
from workflows.files import local
from workflows.model import Trigger
from workflows.triggers import UNITS

MIN_SECONDS = 10  # between two runs of a schedule, as Databricks enforces
MAX_FILES = 10_000
Position = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """What a look at a trigger comes to.

    Attributes:
        position: where it stands now.
        fire: the facts of the run to start, for `{{job.trigger.…}}`; None if it is not time.
        next_at: when time alone will fire it; None for what must be polled.
    """

    position: Position
    fire: dict[str, Any] | None = None
    next_at: float | None = None


def look(
    trigger: Trigger,
    position: Position | None,
    now: float,
    version_of: Callable[[str], int | None],
) -> Look:
    """Look at a trigger; one without a position begins now, and what was before counts as seen.

    Args:
        version_of: the version of a table by its name; None if there is no such table.
    """
    if trigger.kind == "schedule":
        return _schedule(trigger.settings, position, now)
    if trigger.kind == "periodic":
        return _periodic(trigger.settings, position, now)
    if trigger.kind == "file_arrival":
        return _files(trigger.settings, position, now)
    return _tables(trigger.settings, position, now, version_of)


def _schedule(settings: Mapping[str, Any], position: Position | None, now: float) -> Look:
    cron = quartz(settings["quartz_cron_expression"], settings.get("timezone_id") or "UTC")
    seen = _moment(now if position is None else position["seen"])
    fired = -MIN_SECONDS if position is None else position["fired"]
    due: datetime | None = None
    following = cron.after(seen)
    while following is not None and following.timestamp() <= now:
        due = following
        following = cron.after(max(due, _moment(now) - timedelta(days=1)))
    next_at = following.timestamp() if following else None
    if due is None or now - fired < MIN_SECONDS:
        return Look({"seen": max(seen.timestamp(), now), "fired": fired}, None, next_at)
    fire = {"type": "schedule", "time": due.timestamp()}
    return Look({"seen": now, "fired": now}, fire, next_at)


def _periodic(settings: Mapping[str, Any], position: Position | None, now: float) -> Look:
    seconds = int(settings.get("interval") or 1) * UNITS[settings["unit"]]
    last = now if position is None else position["fired"]
    if now < last + seconds:
        return Look({"fired": last}, None, last + seconds)
    fired = now - (now - last) % seconds  # the beat stays, however late we are
    return Look({"fired": fired}, {"type": "periodic", "time": fired}, fired + seconds)


def _files(settings: Mapping[str, Any], position: Position | None, now: float) -> Look:
    """Only new files count: one that is written again is the same file."""
    folder = local(str(settings["url"]))
    found = sorted(_names(folder))[:MAX_FILES]
    if position is None:
        return Look({"known": found, "seen": found, "changed": now, "fired": 0.0})
    changed = now if set(found) - set(position["seen"]) else position["changed"]
    moved = {**position, "seen": found, "changed": changed}
    if not set(found) - set(position["known"]) or not _rested(settings, moved, now):
        return Look(moved)
    fire = {"type": "file_arrival", "file_arrival": {"location": str(settings["url"])}}
    return Look({"known": found, "seen": found, "changed": changed, "fired": now}, fire)


def _names(folder: Path) -> Iterator[str]:
    for place, _, files in os.walk(folder):
        for name in files:
            yield os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118  many files


def _tables(
    settings: Mapping[str, Any],
    position: Position | None,
    now: float,
    version_of: Callable[[str], int | None],
) -> Look:
    names = list(settings["table_names"])
    found = {name: version_of(name) for name in names}
    if position is None:
        return Look({"known": found, "seen": found, "changed": now, "fired": 0.0})
    changed = now if found != position["seen"] else position["changed"]
    moved = {**position, "seen": found, "changed": changed}
    updated = [name for name in names if found[name] != position["known"].get(name)]
    wanted = names if settings.get("condition") == "ALL_UPDATED" else updated[:1]
    if not updated or not set(wanted) <= set(updated) or not _rested(settings, moved, now):
        return Look(moved)
    fire = {"type": "table_update", "table_update": {"updated_tables": updated}}
    return Look({"known": found, "seen": found, "changed": changed, "fired": now}, fire)


def _rested(settings: Mapping[str, Any], position: Position, now: float) -> bool:
    """Whether enough time has passed since the last run and since the last change."""
    between = settings.get("min_time_between_triggers_seconds") or 0
    after = settings.get("wait_after_last_change_seconds") or 0
    return bool(now - position["fired"] >= between and now - position["changed"] >= after)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
