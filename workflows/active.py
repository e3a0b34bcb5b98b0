"""A run that goes on in this process, and what listeners are told of it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from workflows.control import Flow
from workflows.events import Event, Run, Unit
from workflows.records import RunRecord
from workflows.states import State


@dataclass(frozen=True)
class Change:
    """A run or a unit of it has come into another state; `unit` is None for the run itself."""

    run_id: int
    record: RunRecord
    unit: str | None
    state: State
    message: str = ""
    attempt: int = 0
    seconds: float = 0.0


HERE = (State.RUNNING, State.STOPPING)  # an attempt goes on
Changed = tuple[str, Unit, Unit]  # a unit's key, how it was, how it is
Listener = Callable[[Change], None]


@dataclass
class Active:
    """A run, and the events that wait to be applied.

    Attributes:
        values: what its tasks have left for others, by task and key.
        inputs: those of its loops, as far as they are known.
    """

    run_id: int
    record: RunRecord
    flow: Flow
    run: Run
    values: dict[str, dict[str, Any]]
    inputs: dict[str, list[Any]] = field(default_factory=dict)
    waiting: list[Event] = field(default_factory=list)

    def changed(self, before: Run) -> Iterator[Changed]:
        """Every unit that is not as it was."""
        for key, unit in self.run.units.items():
            old = before.units.get(key, Unit())
            if old is not unit:
                yield key, old, unit

    def told_of(self, changed: Iterable[Changed], now: float) -> Iterator[Change]:
        """What to say of the units that have changed."""
        for key, old, unit in changed:
            if old.state in HERE and unit.attempt > old.attempt:  # tried again without a wait
                waited = replace(unit, state=State.WAITING, attempt=old.attempt)
                yield self.told(key, waited, now)
            if old.state is not unit.state or unit.attempt > old.attempt:
                yield self.told(key, unit, now)

    def told(self, key: str | None, unit: Unit | None, now: float) -> Change:
        """What to say of the run or a unit of it."""
        if key is None or unit is None:
            seconds = (self.run.ended_at or now) - self.run.started_at
            state, message = self.run.state, self.run.message
            return Change(self.run_id, self.record, None, state, message, seconds=seconds)
        begun = unit.started_at if unit.started_at is not None else now
        seconds = (unit.ended_at or now) - begun
        return Change(
            self.run_id, self.record, key, unit.state, unit.message, unit.attempt, seconds
        )


def flow_of(record: RunRecord) -> Flow:
    """The control flow of a run."""
    return Flow(record.job, record.room, frozenset(record.skipped))


class Watcher(Protocol):
    """Something else that time concerns."""

    def wake_at(self) -> float | None:
        """When it wants to be called."""

    def tick(self) -> None:
        """Do what is due."""
