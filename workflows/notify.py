"""Notifications of runs and tasks: a line in a file, and a POST to each webhook.

A webhook's id is a URL, or the variable WEBHOOK_<ID> holds it: such URLs are often secrets.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from workflows.active import Change
from workflows.post import post_later
from workflows.states import State

SLOW = "on_duration_warning_threshold_exceeded"
EVENTS = {
    State.RUNNING: "on_start",
    State.SUCCESS: "on_success",
    State.SUCCESS_WITH_FAILURES: "on_success",
    State.FAILED: "on_failure",
    State.TIMEDOUT: "on_failure",
    State.CANCELED: "on_failure",
    State.NO_ROOM: "on_failure",
}
QUIET = {State.CANCELED: "no_alert_for_canceled_runs", State.NO_ROOM: "no_alert_for_skipped_runs"}


class Notifier:
    """Listens to an engine, and watches how long its runs take."""

    def __init__(self, file: Path, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._clock = clock
        self._slow: dict[tuple[int, str | None], tuple[float, Change]] = {}

    def __call__(self, change: Change) -> None:
        """Tell whoever wants to know of a change."""
        settings = _settings(change)
        key = (change.run_id, change.unit)
        limit = _limit(settings)
        if change.state is State.RUNNING and limit is not None:
            self._slow[key] = (self._clock() + limit, change)
        elif change.state.ended:
            self._slow.pop(key, None)
        event = EVENTS.get(change.state)
        retried = change.unit is not None and change.state is State.RUNNING and change.attempt > 1
        only_last = (settings.get("notification_settings") or {}).get("alert_on_last_attempt")
        if event and not (retried and only_last):
            self._tell(event, change, settings)

    def wake_at(self) -> float | None:
        """When the next run or task will have taken too long."""
        return min((at for at, _ in self._slow.values()), default=None)

    def tick(self) -> None:
        """Tell of what has taken too long by now."""
        now = self._clock()
        for key, (at, change) in list(self._slow.items()):
            if at <= now:
                del self._slow[key]
                self._tell(SLOW, change, _settings(change))

    def _tell(self, event: str, change: Change, settings: Mapping[str, Any]) -> None:
        quiet = QUIET.get(change.state)
        if quiet and (settings.get("notification_settings") or {}).get(quiet):
            return
        recipients = list((settings.get("email_notifications") or {}).get(event) or ())
        webhooks = [w["id"] for w in (settings.get("webhook_notifications") or {}).get(event) or ()]
        if not recipients and not webhooks:
            return
        message = _message(event, change)
        line = json.dumps({**message, "email": recipients, "webhooks": webhooks})
        with self._file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        for url in filter(None, map(_url, webhooks)):
            post_later(url, message)


def _settings(change: Change) -> Mapping[str, Any]:
    """What the job or the task says of its notifications."""
    if change.unit is None:
        return change.record.job.settings
    return change.record.job.task(change.unit.partition("[")[0]).settings


def _limit(settings: Mapping[str, Any]) -> float | None:
    return next(_limits(settings), None)


def _limits(settings: Mapping[str, Any]) -> Iterator[float]:
    for rule in (settings.get("health") or {}).get("rules") or ():
        if rule.get("metric") == "RUN_DURATION_SECONDS":
            yield float(rule["value"])


def _message(event: str, change: Change) -> dict[str, Any]:
    return {
        "event_type": f"{'job' if change.unit is None else 'task'}.{event}",
        "job": {"name": change.record.job.name, "key": change.record.job.key},
        "run": {"run_id": change.run_id, "state": change.state, "message": change.message},
        **({"task": {"task_key": change.unit}} if change.unit else {}),
    }


def _url(webhook: str) -> str | None:
    if re.match(r"https?://", webhook):
        return webhook
    return os.environ.get("WEBHOOK_" + re.sub(r"\W", "_", webhook).upper())
