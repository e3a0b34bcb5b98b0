"""Every combination of two dependencies, for each run_if."""

from itertools import product

import pytest

from workflows.run_if import decide, ended_as
from workflows.states import State as S

TABLE = {
    # run_if: pairs of how the dependencies ended -> how the task ends; None: it runs
    "ALL_SUCCESS": {
        "S S": None, "S F": S.UPSTREAM_FAILED, "F F": S.UPSTREAM_FAILED, "S X": None,
        "F X": S.UPSTREAM_FAILED, "S C": S.UPSTREAM_CANCELED, "F C": S.UPSTREAM_FAILED,
        "C C": S.UPSTREAM_CANCELED, "C X": S.UPSTREAM_CANCELED, "S D": S.DISABLED,
        "F D": S.UPSTREAM_FAILED, "C D": S.UPSTREAM_CANCELED, "D D": S.DISABLED,
        "D X": S.DISABLED, "X X": S.EXCLUDED,
    },
    "AT_LEAST_ONE_SUCCESS": {
        "S S": None, "S F": None, "F F": S.UPSTREAM_FAILED, "S X": None, "F X": None,
        "S C": None, "F C": S.UPSTREAM_FAILED, "C C": S.UPSTREAM_CANCELED, "C X": None,
        "S D": None, "F D": S.UPSTREAM_FAILED, "C D": S.UPSTREAM_CANCELED, "D D": S.DISABLED,
        "D X": None, "X X": S.EXCLUDED,
    },
    "NONE_FAILED": {
        "S S": None, "S F": S.UPSTREAM_FAILED, "F F": S.UPSTREAM_FAILED, "S X": None,
        "F X": S.UPSTREAM_FAILED, "S C": S.UPSTREAM_CANCELED, "F C": S.UPSTREAM_FAILED,
        "C C": S.UPSTREAM_CANCELED, "C X": S.UPSTREAM_CANCELED, "S D": None,
        "F D": S.UPSTREAM_FAILED, "C D": S.UPSTREAM_CANCELED, "D D": S.DISABLED, "D X": None,
        "X X": S.EXCLUDED,
    },
    "ALL_DONE": {
        "S S": None, "S F": None, "F F": None, "S X": None, "F X": None, "S C": None, "F C": None,
        "C C": None, "C X": None, "S D": None, "F D": None, "C D": None, "D D": None, "D X": None,
        "X X": S.EXCLUDED,
    },
    "AT_LEAST_ONE_FAILED": {
        "S S": S.EXCLUDED, "S F": None, "F F": None, "S X": S.EXCLUDED, "F X": None, "S C": None,
        "F C": None, "C C": None, "C X": None, "S D": S.DISABLED, "F D": None, "C D": None,
        "D D": S.DISABLED, "D X": S.DISABLED, "X X": S.EXCLUDED,
    },
    "ALL_FAILED": {
        "S S": S.EXCLUDED, "S F": S.EXCLUDED, "F F": None, "S X": S.EXCLUDED, "F X": S.EXCLUDED,
        "S C": S.EXCLUDED, "F C": None, "C C": None, "C X": S.EXCLUDED, "S D": S.DISABLED,
        "F D": S.DISABLED, "C D": S.DISABLED, "D D": S.DISABLED, "D X": S.DISABLED,
        "X X": S.EXCLUDED,
    },
}  # fmt: skip
LETTERS = {"S": S.SUCCESS, "F": S.FAILED, "X": S.EXCLUDED, "C": S.CANCELED, "D": S.DISABLED}
LIKE = {"S": S.SKIPPED, "F": S.TIMEDOUT, "X": S.EXCLUDED, "C": S.UPSTREAM_CANCELED, "D": S.DISABLED}


@pytest.mark.parametrize("run_if", TABLE)
def test_every_pair_of_dependencies_is_decided_as_documented(run_if: str) -> None:
    pairs = {tuple(sorted(pair.split())): said for pair, said in TABLE[run_if].items()}
    for one, other in product(LETTERS, repeat=2):
        wanted = pairs[tuple(sorted((one, other)))]
        assert decide(run_if, [LETTERS[one], LETTERS[other]]) is wanted, (one, other)
        assert decide(run_if, [LIKE[one], LIKE[other]]) is wanted, (one, other)


def test_upstream_failed_counts_as_a_failure() -> None:
    assert decide("ALL_SUCCESS", [S.UPSTREAM_FAILED]) is S.UPSTREAM_FAILED
    assert decide("AT_LEAST_ONE_FAILED", [S.UPSTREAM_FAILED]) is None


@pytest.mark.parametrize("run_if", sorted(set(TABLE) - {"AT_LEAST_ONE_FAILED", "ALL_FAILED"}))
def test_a_task_without_dependencies_runs(run_if: str) -> None:
    assert decide(run_if, []) is None


@pytest.mark.parametrize(
    ("leaves", "others", "state"),
    [
        ("S S", "", S.SUCCESS),
        ("S", "F", S.SUCCESS_WITH_FAILURES),
        ("S", "C", S.SUCCESS_WITH_FAILURES),
        ("X D", "S", S.SUCCESS),
        ("S F", "S", S.FAILED),
        ("F C", "", S.FAILED),
        ("S C", "", S.CANCELED),
    ],
)
def test_a_run_ends_as_its_leaves(leaves: str, others: str, state: S) -> None:
    ends = ([LETTERS[letter] for letter in text.split()] for text in (leaves, others))
    assert ended_as(*ends) is state
