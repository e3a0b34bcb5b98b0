"""Dynamic values: `{{job.id}}`, `{{tasks.a.values.b}}` and the like, known only as a job runs.

Nothing between the braces is computed. What is no reference stays as it is written; a reference
that begins like a known one and is none is an error.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workflows.references import hint

REFERENCE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
PART = re.compile(r"`([^`]*)`|\[([^\]]*)\]|([^.`\[]+)")
TIME = (
    *("iso_date", "iso_datetime", "iso_weekday", "year", "month", "day", "hour", "minute"),
    *("second", "timestamp_ms", "is_weekday"),
)
KNOWN = (
    *("job.id", "job.name", "job.run_id", "job.repair_count", "job.parameters.*"),
    *("job.start_time.@", "job.trigger.type", "job.trigger.time.@"),
    *("job.trigger.file_arrival.location", "job.trigger.table_update.updated_tables"),
    *("task.name", "task.run_id", "task.execution_count", "task.notebook_path"),
    *("tasks.*.run_id", "tasks.*.result_state", "tasks.*.error_code", "tasks.*.execution_count"),
    *("tasks.*.notebook_path", "tasks.*.values.*", "tasks.*.output.rows"),
    *("tasks.*.output.first_row.*", "workspace.id", "workspace.url", "input", "input.*"),
    "backfill.@",
)
NAMESPACES = {pattern.split(".")[0] for pattern in KNOWN}
# The older way to write some of them.
OLDER = {
    "job_id": "job.id",
    "run_id": "task.run_id",
    "parent_run_id": "job.run_id",
    "task_key": "task.name",
    "task_retry_count": "task.retry_count",
    "start_time": "job.start_time.timestamp_ms",
    "start_date": "job.start_time.iso_date",
}


class UnknownValueError(Exception):
    """A reference names what is not there; the message says which."""


@dataclass(frozen=True)
class Time:
    """A moment whose parts a reference may name."""

    at: datetime

    def part(self, name: str) -> object:
        """One of TIME, in the moment's own time zone."""
        at = self.at
        return {
            "iso_date": at.date().isoformat(),
            "iso_datetime": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "iso_weekday": at.isoweekday(),
            "year": at.year,
            "month": at.month,
            "day": at.day,
            "hour": at.hour,
            "minute": at.minute,
            "second": at.second,
            "timestamp_ms": int(at.timestamp() * 1000),
            "is_weekday": at.isoweekday() <= 5,
        }[name]


def parts_of(text: str) -> list[str]:
    """`a.b` in its parts; a part in backticks or brackets may hold dots."""
    return [next(filter(None, found), "") for found in PART.findall(text)]


def references(value: Any) -> Iterator[list[str]]:
    """Every reference in a text, list or mapping, in its parts."""
    if isinstance(value, str):
        for found in REFERENCE.finditer(value):
            yield parts_of(OLDER.get(found[1], found[1]))
    elif isinstance(value, Mapping):
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from references(child)


def problem(
    parts: list[str], *, tasks: Iterable[str], parameters: Iterable[str], in_loop: bool
) -> str | None:
    """What is wrong with a reference as it is written; None if nothing is."""
    if not parts or parts[0] not in NAMESPACES or parts == ["task", "retry_count"]:
        return None
    shown = "{{" + ".".join(parts) + "}}"
    if parts[0] == "input" and not in_loop:
        return f"{shown} stands outside the task of a for_each_task"
    if not any(_matches(parts, pattern.split(".")) for pattern in KNOWN):
        return f"{shown} is no dynamic value; {hint('.'.join(parts), KNOWN)}"
    if parts[0] == "tasks" and parts[1] not in tasks:
        return f"{shown} names no task that runs before; {hint(parts[1], tasks)}"
    if parts[:2] == ["job", "parameters"] and parts[2] not in parameters:
        return f"{shown} names no parameter of the job; {hint(parts[2], parameters)}"
    return None


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if pattern == ["input", "*"]:
        return len(parts) > 1 and parts[0] == "input"
    return len(parts) == len(pattern) and all(
        part == wanted or wanted == "*" or (wanted == "@" and part in TIME)
        for part, wanted in zip(parts, pattern, strict=True)
    )


def filled(value: Any, facts: Mapping[str, Any]) -> Any:
    """`value` with every reference replaced by what `facts` says of it, as text.

    Raises:
        UnknownValueError: a reference of a known namespace has no value.
    """
    if isinstance(value, str):
        return REFERENCE.sub(lambda found: _text(found, facts), value)
    if isinstance(value, Mapping):
        return {key: filled(child, facts) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [filled(child, facts) for child in value]
    return value


def _text(found: re.Match[str], facts: Mapping[str, Any]) -> str:
    parts = parts_of(OLDER.get(found[1], found[1]))
    if not parts or parts[0] not in NAMESPACES:
        return found[0]
    value: Any = facts
    for part in parts:
        if isinstance(value, Time) and part in TIME:
            value = value.part(part)
        elif isinstance(value, Mapping) and part in value:
            value = value[part]
        else:
            raise UnknownValueError(f"{found[0]} has no value in this run")
    return as_text(value)


def as_text(value: Any) -> str:
    """A value as a parameter takes it: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
