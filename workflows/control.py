"""The control flow of a run: what happens next, as a pure function of what happened.

`Flow.step` takes a run and an event and returns the run after it, with commands for whoever runs
processes. It has no clock and no side effect, so every order of events can be tried.
"""

from dataclasses import dataclass, replace

from workflows.events import Command, Event, Run, Unit
from workflows.states import CANCELED, FAILURES, State
from workflows.step import Plan, Step


@dataclass(frozen=True)
class Flow(Plan):
    """The control flow of one job, with room for so many processes side by side."""

    def new(self, now: float) -> Run:
        """A run of which nothing has started."""
        return Run({task.key: Unit() for task in self.job.tasks}, started_at=now)

    def step(self, run: Run, event: Event, now: float) -> tuple[Run, list[Command]]:
        """The run after an event, and what to do about it."""
        if run.state.ended:
            return run, []
        step = Step(self, run, now)
        step.apply(event)
        step.pass_time()
        step.settle()
        return step.result()

    def wake_at(self, run: Run) -> float | None:
        """When time alone will change something, if ever."""
        times = [unit.due_at for unit in run.units.values() if unit.state is State.WAITING]
        for key, unit in run.units.items():
            if unit.state is State.RUNNING and unit.started_at is not None:
                limit = self.task(key).timeout_seconds
                times += [unit.started_at + limit] if limit else []
        if self.job.timeout_seconds and run.verdict is None:
            times.append(run.started_at + self.job.timeout_seconds)
        return min((at for at in times if at is not None), default=None)

    def repaired(self, run: Run, now: float) -> Run:
        """The run with what failed, was stopped or left out, and what depends on it, as new."""
        changed: set[str] = set()  # what stands after something that runs again
        again: set[str] = set()
        for task in self.job.tasks:
            if again & {entry.task_key for entry in task.depends_on}:
                changed.add(task.key)
            if task.key in changed or run.units[task.key].state in FAILURES | CANCELED:
                again.add(task.key)
        units = {}
        for key, unit in run.units.items():
            task_key, _, number = key.partition("[")
            done = number and task_key not in changed and unit.state is State.SUCCESS
            units[key] = unit if task_key not in again or done else Unit(attempt=unit.attempt)
        return Run(units, started_at=now)

    def resumed(self, run: Run) -> Run:
        """The run after whoever ran it died: what was running starts again, as the same try."""
        return replace(run, units={key: self._taken_up(unit) for key, unit in run.units.items()})

    def _taken_up(self, unit: Unit) -> Unit:
        if unit.state is State.STOPPING and unit.verdict:
            return replace(unit, state=unit.verdict, verdict=None)
        if unit.state is State.RUNNING and unit.count is None:
            return Unit(attempt=unit.attempt, tries=max(unit.tries - 1, 0))
        return unit
