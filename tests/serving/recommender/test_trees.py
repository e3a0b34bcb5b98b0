"""Trees as arrays answer like trees walked one node at a time."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.recommender.trees import margins, probabilities


def walked(splits, thresholds, leaves, row) -> float:
    total = 0.0
    for split, threshold, leaf in zip(splits, thresholds, leaves, strict=True):
        at = 0
        while at < len(split):
            at = 2 * at + (2 if row[split[at]] > threshold[at] else 1)
        total += leaf[at - len(split)]
    return total


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 10_000),
    trees=st.integers(0, 5),
    depth=st.integers(1, 4),
    n=st.integers(0, 9),
)
def test_all_trees_at_once_sum_like_one_by_one(seed: int, trees: int, depth: int, n: int) -> None:
    chance = np.random.default_rng(seed)
    inner = 2**depth - 1
    features = chance.integers(0, 3, (n, 4)).astype(np.float32)  # many equal a threshold
    splits = chance.integers(0, 4, (trees, inner)).astype(np.int32)
    thresholds = chance.integers(0, 3, (trees, inner)).astype(np.float32)
    leaves = chance.normal(size=(trees, inner + 1)).astype(np.float32)
    found = margins(splits, thresholds, leaves, features)
    expected = [walked(splits, thresholds, leaves, row) for row in features]
    assert np.allclose(found, expected, atol=1e-5)


def test_a_margin_of_nothing_is_an_even_chance() -> None:
    assert probabilities(np.zeros(1, np.float32))[0] == 0.5
