"""Whether a task runs, and how a run ended: the documented rules, as pure functions."""

from collections.abc import Sequence

from workflows.states import CANCELED, FAILURES, OK, State

HANDLES_FAILURE = ("AT_LEAST_ONE_FAILED", "ALL_FAILED")


def decide(run_if: str, upstream: Sequence[State]) -> State | None:
    """How a task ends without running, given how its dependencies ended; None if it runs.

    A dependency on a condition whose outcome was the other one counts as EXCLUDED. A canceled
    dependency counts as a failure for a task that handles failures, so that it can clean up.
    """
    if upstream and all(state is State.EXCLUDED for state in upstream):
        return State.EXCLUDED
    if _met(run_if, upstream):
        return None
    bad = [state for state in upstream if state in FAILURES | CANCELED]
    if State.DISABLED in upstream and (run_if in HANDLES_FAILURE or not bad):
        return State.DISABLED
    if run_if in HANDLES_FAILURE:
        return State.EXCLUDED
    return State.UPSTREAM_FAILED if FAILURES & set(bad) else State.UPSTREAM_CANCELED


def _met(run_if: str, upstream: Sequence[State]) -> bool:
    bad = FAILURES | CANCELED
    if run_if == "ALL_SUCCESS":
        return all(state in OK for state in upstream)
    if run_if == "AT_LEAST_ONE_SUCCESS":
        return not upstream or any(state in OK for state in upstream)
    if run_if == "NONE_FAILED":
        none_bad = not any(state in bad for state in upstream)
        return none_bad and (not upstream or any(state in OK for state in upstream))
    if run_if == "AT_LEAST_ONE_FAILED":
        return any(state in bad for state in upstream)
    if run_if == "ALL_FAILED":
        return bool(upstream) and all(state in bad for state in upstream)
    return True  # ALL_DONE


def ended_as(leaves: Sequence[State], others: Sequence[State]) -> State:
    """The state of a run by how its leaf tasks ended, on which nothing depends, and the others."""
    if any(state in FAILURES for state in leaves):
        return State.FAILED
    if any(state in CANCELED for state in leaves):
        return State.CANCELED
    if any(state in FAILURES | CANCELED for state in others):
        return State.SUCCESS_WITH_FAILURES
    return State.SUCCESS
