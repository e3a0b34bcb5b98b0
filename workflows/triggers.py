"""What starts a job by itself: its schedule, its trigger, or that it runs all the time."""

from collections.abc import Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from pipelines.errors import BundleError
from workflows.cron import CronError, Quartz
from workflows.model import Trigger
from workflows.tree import Node, plain

STARTS = ("schedule", "trigger", "continuous", "triggers")
CONDITIONS = (
    "periodic",
    "file_arrival",
    "table_update",
    "model",
    "sql_condition",
    "job_completion",
)
UNITS = {"MINUTES": 60, "HOURS": 3600, "DAYS": 86400, "WEEKS": 604800}


def triggers_of(job: Node) -> tuple[Trigger, ...]:
    """The triggers of a job, at most one of each start.

    Raises:
        BundleError: a cron expression, time zone or interval is wrong, or two starts exclude each
            other.
    """
    starts = [name for name in STARTS if job.get(name).value is not None]
    if len(starts) > 1:
        where = job.get(starts[1]).where
        raise BundleError(f"{where}: a job has {starts[0]} or {starts[1]}, not both; remove one")
    return tuple(_found(job))


def _found(job: Node) -> Iterator[Trigger]:
    schedule, continuous = job.get("schedule"), job.get("continuous")
    if schedule.value is not None:
        yield _schedule(schedule)
    if continuous.value is not None:
        for task in job.get("tasks").elements:
            if task.get("max_retries").integer(0, minimum=-1):
                raise BundleError(
                    f"{task.get('max_retries').where}: a continuous job tries again by itself; "
                    "remove max_retries"
                )
        yield Trigger("continuous", plain(continuous), _paused(continuous))
    if job.get("trigger").value is not None:
        yield _condition(job.get("trigger"))
    for entry in job.get("triggers").elements:
        if "schedule" in entry.items:
            yield replace(_schedule(entry.get("schedule")), paused=_paused(entry))
        elif "continuous" in entry.items:
            yield Trigger("continuous", plain(entry.get("continuous")), _paused(entry))
        else:
            yield _condition(entry)


def _paused(node: Node) -> bool:
    return bool(node.get("pause_status").value == "PAUSED")


def _schedule(node: Node) -> Trigger:
    expression, zone = node.get("quartz_cron_expression"), node.get("timezone_id")
    try:
        ZoneInfo(zone.text("UTC"))
    except (KeyError, ValueError, OSError):
        raise BundleError(f"{zone.where}: no time zone '{zone.value}'; write one as UTC") from None
    try:
        Quartz(expression.text(""), zone.text("UTC"))
    except CronError as error:
        raise BundleError(f"{expression.where}: {error}") from None
    return Trigger("schedule", plain(node), _paused(node))


def _condition(node: Node) -> Trigger:
    kinds = [key for key in CONDITIONS if node.get(key).value is not None]
    if len(kinds) != 1:
        raise BundleError(f"{node.where}: a trigger has one of {', '.join(CONDITIONS)}")
    kind = kinds[0]
    settings = node.get(kind)
    if kind == "periodic":
        settings.get("interval").integer(1, minimum=1)
    needed = {"periodic": "unit", "file_arrival": "url", "table_update": "table_names"}.get(kind)
    if needed and not settings.get(needed).value:
        raise BundleError(f"{settings.where}: {kind} has no {needed}; give it one")
    for wait in ("min_time_between_triggers_seconds", "wait_after_last_change_seconds"):
        given = settings.get(wait)
        if 0 < given.integer(0) < 60:
            raise BundleError(f"{given.where}: {wait} must be at least 60")
    return Trigger(kind, plain(settings), _paused(node))
