"""The states of runs and tasks, by Databricks' names."""

from enum import StrEnum


class State(StrEnum):
    """Where a run or a task is. WAITING, STOPPING and SKIPPED are ours.

    WAITING: between two attempts. STOPPING: told to end, and still there. SKIPPED: cannot run here
    and was asked to be left out; what follows goes on as after a success.
    """

    PENDING = "PENDING"
    QUEUED = "QUEUED"
    WAITING = "WAITING_FOR_RETRY"
    RUNNING = "RUNNING"
    STOPPING = "TERMINATING"
    SUCCESS = "SUCCESS"
    SUCCESS_WITH_FAILURES = "SUCCESS_WITH_FAILURES"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"
    CANCELED = "CANCELED"
    EXCLUDED = "EXCLUDED"
    DISABLED = "DISABLED"
    SKIPPED = "SKIPPED"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"
    UPSTREAM_CANCELED = "UPSTREAM_CANCELED"
    NO_ROOM = "MAXIMUM_CONCURRENT_RUNS_REACHED"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self not in _OPEN

    @property
    def good(self) -> bool:
        """Whether a caller should be content with it."""
        return self in (State.SUCCESS, State.SUCCESS_WITH_FAILURES)


_OPEN = frozenset({State.PENDING, State.QUEUED, State.WAITING, State.RUNNING, State.STOPPING})
# Excluded tasks are treated as successful.
OK = frozenset({State.SUCCESS, State.SUCCESS_WITH_FAILURES, State.SKIPPED, State.EXCLUDED})
FAILURES = frozenset({State.FAILED, State.TIMEDOUT, State.UPSTREAM_FAILED})
CANCELED = frozenset({State.CANCELED, State.UPSTREAM_CANCELED})
