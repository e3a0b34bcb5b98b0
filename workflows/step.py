"""One step of a run: an event applied, time passed, what is ready started."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from workflows.events import (
    Cancel,
    Command,
    Ended,
    Event,
    Expanded,
    Run,
    Start,
    Stop,
    Unit,
    iteration,
)
from workflows.model import Job, Task
from workflows.run_if import decide, ended_as
from workflows.states import State

NO_PROCESS = ("condition_task", "for_each_task", "run_job_task")


@dataclass(frozen=True)
class Plan:
    """What steps of one job need.

    Attributes:
        room: how many processes may run side by side.
        skipped: tasks that cannot run here and are left out.
        leaves: tasks on which nothing depends.
    """

    job: Job
    room: int = 1
    skipped: frozenset[str] = frozenset()
    leaves: frozenset[str] = field(init=False, repr=False)
    _tasks: Mapping[str, Task] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        followed = {entry.task_key for task in self.job.tasks for entry in task.depends_on}
        keys = frozenset(task.key for task in self.job.tasks)
        object.__setattr__(self, "leaves", keys - followed)
        object.__setattr__(self, "_tasks", {task.key: task for task in self.job.tasks})

    def task(self, unit: str) -> Task:
        """The task of a unit; of an iteration, the one in the loop."""
        task = self._tasks[unit.partition("[")[0]]
        return task.loop if "[" in unit and task.loop else task


class Step:
    """One step: the units are changed here, then frozen again."""

    def __init__(self, plan: Plan, run: Run, now: float) -> None:
        self._plan, self._run, self._now = plan, run, now
        self._units = dict(run.units)
        self._verdict, self._message = run.verdict, run.message
        self._commands: list[Command] = []
        self._busy = sum(self._takes_room(key, unit) for key, unit in run.units.items())

    def _takes_room(self, key: str, unit: Unit) -> bool:
        return unit.state in (State.RUNNING, State.STOPPING) and (
            self._plan.task(key).kind not in NO_PROCESS
        )

    def apply(self, event: Event) -> None:
        if isinstance(event, Ended):
            unit = self._units[event.unit]
            if unit.attempt == event.attempt and unit.state in (State.RUNNING, State.STOPPING):
                self._over(event.unit, event)
        elif isinstance(event, Expanded):
            self._expand(event)
        elif isinstance(event, Cancel) and event.unit is None:
            self._end_run(State.CANCELED, "the run was canceled")
        elif isinstance(event, Cancel) and event.unit is not None:
            self._stop(event.unit, State.CANCELED, "the task was canceled")

    def _over(self, key: str, event: Ended) -> None:
        unit, task = self._units[key], self._plan.task(key)
        self._busy -= self._takes_room(key, unit)
        state = unit.verdict or event.state
        message = unit.message if unit.verdict else event.message
        again = state is State.FAILED or (state is State.TIMEDOUT and task.retry_on_timeout)
        left = task.max_retries < 0 or unit.tries <= task.max_retries
        if again and left and self._verdict is None:
            started = unit.started_at if unit.started_at is not None else self._now
            due = started + task.min_retry_interval_millis / 1000
            self._set(key, state=State.WAITING, due_at=due, verdict=None, message=message)
            return
        self._close(key, state, message, event.outcome)

    def _close(self, key: str, state: State, message: str = "", outcome: str = "") -> None:
        said = {"message": message, "outcome": outcome, "verdict": None, "due_at": None}
        self._set(key, state=state, ended_at=self._now, **said)

    def _set(self, key: str, **changes: object) -> None:
        self._units[key] = replace(self._units[key], **changes)  # type: ignore[arg-type]

    def _expand(self, event: Expanded) -> None:
        if self._units[event.unit].state is State.RUNNING:
            self._set(event.unit, count=event.count)
            for key in self._iterations(event.unit):
                unit = self._units.get(key, Unit())
                done = unit.state is State.SUCCESS or not unit.state.ended
                self._units[key] = unit if done else Unit(attempt=unit.attempt)

    def _stop(self, key: str, verdict: State, message: str) -> None:
        """End a unit; one that has no process ends at once."""
        unit = self._units[key]
        if unit.state.ended or unit.state is State.STOPPING:
            return
        for child in self._iterations(key):
            self._stop(child, verdict, message)
        if unit.state is not State.RUNNING:
            self._close(key, verdict, message)
            return
        self._set(key, state=State.STOPPING, verdict=verdict, message=message)
        if unit.count is None:
            self._commands.append(Stop(key))

    def _iterations(self, key: str) -> Iterator[str]:
        for number in range(self._units[key].count or 0):
            yield iteration(key, number)

    def _end_run(self, verdict: State, message: str) -> None:
        if self._verdict is None:
            self._verdict, self._message = verdict, message
        for task in self._plan.job.tasks:
            running = self._units[task.key].state is State.RUNNING
            self._stop(task.key, verdict if running else State.CANCELED, message)

    def pass_time(self) -> None:
        limit = self._plan.job.timeout_seconds
        if limit and self._verdict is None and self._now >= self._run.started_at + limit:
            self._end_run(State.TIMEDOUT, f"ended after {limit} s by the job's timeout_seconds")
        for key, unit in list(self._units.items()):
            if unit.state is not State.RUNNING or unit.started_at is None:
                continue
            limit = self._plan.task(key).timeout_seconds
            if limit and self._now >= unit.started_at + limit:
                said = f"ended after {limit} s by the task's timeout_seconds"
                self._stop(key, State.TIMEDOUT, said)

    def settle(self) -> None:
        """Start, skip and close what can be; tasks stand in an order that makes one pass enough."""
        for task in self._plan.job.tasks:
            unit = self._units[task.key]
            if unit.state is State.PENDING:
                self._decide(task)
            elif unit.state is State.WAITING:
                self._start(task.key)
            if self._units[task.key].count is not None:
                self._loop(task)

    def _decide(self, task: Task) -> None:
        if task.disabled:
            self._close(task.key, State.DISABLED, "the task is disabled")
            return
        upstream = []
        for entry in task.depends_on:
            unit = self._units[entry.task_key]
            if not unit.state.ended:
                return
            other = entry.outcome is not None and unit.state is State.SUCCESS
            left_out = other and unit.outcome != entry.outcome
            upstream.append(State.EXCLUDED if left_out else unit.state)
        verdict = decide(task.run_if, upstream)
        if verdict is not None:
            self._close(task.key, verdict, _why(task, upstream))
        elif task.key in self._plan.skipped:
            self._close(task.key, State.SKIPPED, f"{task.kind} does not run here")
        else:
            self._start(task.key)

    def _start(self, key: str) -> None:
        unit, task = self._units[key], self._plan.task(key)
        needs_room = task.kind not in NO_PROCESS
        if (unit.due_at or 0) > self._now or (needs_room and self._busy >= self._plan.room):
            return
        self._busy += needs_room
        attempt, tries = unit.attempt + 1, unit.tries + 1
        said = unit.message  # why it is tried again
        self._units[key] = Unit(State.RUNNING, attempt, tries, started_at=self._now, message=said)
        self._commands.append(Start(key, attempt))

    def _loop(self, task: Task) -> None:
        """Start iterations as far as there is room, and close the loop after the last."""
        keys = list(self._iterations(task.key))
        states = [self._units[key].state for key in keys]
        loop = self._units[task.key]
        if loop.state is State.RUNNING:
            active = sum(state in (State.RUNNING, State.STOPPING) for state in states)
            limit = int(str(task.spec.get("concurrency") or 1))
            for key, state in zip(keys, states, strict=True):
                if active >= limit:
                    break
                if state in (State.PENDING, State.WAITING):
                    self._start(key)
                    active += self._units[key].state is State.RUNNING
        states = [self._units[key].state for key in keys]
        if loop.state in (State.RUNNING, State.STOPPING) and all(s.ended for s in states):
            bad = sum(state is not State.SUCCESS for state in states)
            state = State.FAILED if bad else State.SUCCESS
            said = f"{bad} of {len(states)} iterations did not succeed" if bad else ""
            self._over(task.key, Ended(task.key, loop.attempt, state, message=said))

    def result(self) -> tuple[Run, list[Command]]:
        tops = {task.key: self._units[task.key].state for task in self._plan.job.tasks}
        run = replace(self._run, units=self._units, verdict=self._verdict, message=self._message)
        if not all(state.ended for state in tops.values()):
            return run, self._commands
        leaves = self._plan.leaves
        state = self._verdict or ended_as(
            [state for key, state in tops.items() if key in leaves],
            [state for key, state in tops.items() if key not in leaves],
        )
        return replace(run, state=state, ended_at=self._now), self._commands


def _why(task: Task, upstream: list[State]) -> str:
    pairs = zip(task.depends_on, upstream, strict=True)
    return ", ".join(f"{entry.task_key}: {state}" for entry, state in pairs)
