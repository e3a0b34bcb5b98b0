"""The daemon that starts jobs by themselves: on time, on arrivals and updates, or all the time."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from workflows.bundle import Bundle
from workflows.engine import Engine
from workflows.fires import look
from workflows.model import Job, Trigger
from workflows.runner import Options, record_of
from workflows.states import State

POLL_SECONDS = 10.0  # files and tables; Databricks looks once a minute
BACKOFF_SECONDS = (10.0, 3600.0)  # of a continuous job that fails: at first, at the most
RUNNABLE = ("schedule", "periodic", "file_arrival", "table_update", "continuous")


@dataclass
class Watch:
    """One trigger of one job, and when to look at it next."""

    name: str
    job: Job
    trigger: Trigger
    look_at: float = 0.0


@dataclass
class Daemon:
    """Looks at every trigger when it is time, and runs what fires.

    Attributes:
        version_of: the version of a table by its name; None if there is no such table.
        poll: how often files and tables are looked at, in seconds.
    """

    bundle: Bundle
    engine: Engine
    folder: Path
    options: Options
    version_of: Callable[[str], int | None]
    poll: float = POLL_SECONDS
    clock: Callable[[], float] = time.time
    watches: list[Watch] = field(default_factory=list)

    def __post_init__(self) -> None:
        for job in self.bundle.jobs.values():
            for number, trigger in enumerate(job.triggers):
                if trigger.kind in RUNNABLE:
                    self.watches.append(Watch(f"{job.key}/{number}/{trigger.kind}", job, trigger))
        for watch in self.watches:  # what cannot run is named now, not at night
            record_of(self.bundle, watch.job.key, self.folder, options=self.options)

    def recover(self) -> list[int]:
        """Go on with the runs whose runner died; their numbers."""
        lost = self.engine.store.lost()
        for run_id in lost:
            self.engine.resume(run_id)
        return lost

    def turn(self) -> None:
        """Look at what is due, start what fires, and wait until something else is due."""
        now = self.clock()
        for watch in self.watches:
            if watch.look_at <= now:
                watch.look_at = self._look(watch, now)
        due = min((watch.look_at for watch in self.watches), default=now + self.poll)
        self.engine.wait(min(max(due - self.clock(), 0.0), self.poll))

    def run(self) -> None:
        """Go on until someone stops us."""
        self.recover()
        while True:
            self.turn()

    def _look(self, watch: Watch, now: float) -> float:
        """When to look at it again."""
        store = self.engine.store
        position, paused = store.trigger(watch.name)
        if watch.trigger.paused if paused is None else paused:
            store.set_position(watch.name, None)  # what passes by while it is paused is not missed
            return now + self.poll
        if watch.trigger.kind == "continuous":
            return self._keep_running(watch, now)
        seen = look(watch.trigger, position, now, self.version_of)
        with store.transaction():
            if seen.position != position:
                store.set_position(watch.name, seen.position)
        if seen.fire:
            self._start(watch.job, seen.fire)
        return now + self.poll if seen.next_at is None else min(seen.next_at, now + self.poll)

    def _keep_running(self, watch: Watch, now: float) -> float:
        """One run at a time, begun again when it ends; after failures a while later."""
        last = self.engine.store.runs(job=watch.job.key, limit=50)
        if last and not State(last[0]["state"]).ended:
            return now + min(1.0, self.poll)
        failures = _failures_in_a_row(last)
        ended = last[0]["ended_at"] if last else 0.0
        wait = min(BACKOFF_SECONDS[0] * 2 ** (failures - 1), BACKOFF_SECONDS[1]) if failures else 0
        if now < (ended or 0.0) + wait:
            return min((ended or 0.0) + wait, now + self.poll)
        self._start(watch.job, {"type": "continuous"})
        return now

    def _start(self, job: Job, trigger: dict[str, object]) -> None:
        record = record_of(self.bundle, job.key, self.folder, options=self.options, trigger=trigger)
        self.engine.submit(record)


def _failures_in_a_row(runs: list[dict[str, object]]) -> int:
    count = 0
    for run in runs:
        if State(str(run["state"])) not in (State.FAILED, State.TIMEDOUT):
            break
        count += 1
    return count


def next_fires(bundle: Bundle, now: float) -> Iterator[tuple[Job, Trigger, float | None]]:
    """Every trigger of a bundle and when time alone will fire it next."""
    for job in bundle.jobs.values():
        for trigger in job.triggers:
            timed = trigger.kind in ("schedule", "periodic")
            seen = look(trigger, None, now, lambda name: None) if timed else None
            yield job, trigger, seen.next_at if seen else None
