"""What a run is made of, what happens to it and what is to be done about it."""

from collections.abc import Mapping
from dataclasses import dataclass

from workflows.states import State


@dataclass(frozen=True)
class Unit:
    """A task, or one iteration of a loop, whose key is `task[number]`.

    Attributes:
        attempt: how often it was started in all; it names the log.
        tries: how often since the run was started, resumed or repaired.
        started_at, ended_at: of the last attempt, in seconds.
        due_at: when it is tried again.
        verdict: how it will end once its process is gone.
        outcome: of a condition, `true` or `false`.
        count: of a loop, how many inputs it has.
    """

    state: State = State.PENDING
    attempt: int = 0
    tries: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    due_at: float | None = None
    verdict: State | None = None
    outcome: str = ""
    message: str = ""
    count: int | None = None


@dataclass(frozen=True)
class Run:
    """A run: its units, and how it stands. `verdict`: how it ends once nothing runs any more."""

    units: Mapping[str, Unit]
    started_at: float
    state: State = State.RUNNING
    ended_at: float | None = None
    verdict: State | None = None
    message: str = ""


@dataclass(frozen=True)
class Start:
    """Start a unit; answered by Ended, or by Expanded if it is a loop."""

    unit: str
    attempt: int


@dataclass(frozen=True)
class Stop:
    """End a unit's process; answered by Ended."""

    unit: str


Command = Start | Stop


@dataclass(frozen=True)
class Ended:
    """A unit's attempt is over."""

    unit: str
    attempt: int
    state: State
    outcome: str = ""
    message: str = ""


@dataclass(frozen=True)
class Expanded:
    """A loop has so many inputs."""

    unit: str
    count: int


@dataclass(frozen=True)
class Cancel:
    """Someone wants the run to end, or one unit of it."""

    unit: str | None = None


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


Event = Ended | Expanded | Cancel | Tick


def iteration(key: str, number: int) -> str:
    """The key of one iteration of a loop."""
    return f"{key}[{number}]"
