"""The benchmark's splits have no overlap, and its figures are those of the product."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.recommend_data import split_by_item
from benchmarks.recommend_quality import figures


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 99), items=st.lists(st.integers(0, 12), min_size=1, max_size=200))
def test_the_split_parts_every_item_and_has_no_overlap(seed: int, items: list[int]) -> None:
    rows = pd.DataFrame({"customer": range(len(items)), "item": items})
    kept, held = split_by_item(rows, seed)
    assert not set(kept.index) & set(held.index)
    assert sorted([*kept.index, *held.index]) == list(rows.index)
    for item, count in rows["item"].value_counts().items():
        assert (kept["item"] == item).sum() == np.round(0.75 * count)


def test_the_validation_part_is_cut_out_of_the_training_part() -> None:
    rows = pd.DataFrame({"customer": range(4000), "item": np.arange(4000) % 40})
    kept, held = split_by_item(rows, 0)
    inner, valid = split_by_item(kept, 100)
    assert not set(held.index) & (set(inner.index) | set(valid.index))
    other, _ = split_by_item(rows, 1)
    assert set(other.index) != set(kept.index), "another seed, another split"


def test_figures_are_those_worked_out_by_hand() -> None:
    found = figures(
        {"c1": ["a", "x", "b"], "c2": ["y", "c"]},
        {"c1": {"a", "b", "d"}, "c2": {"c"}, "c3": {"a"}},
        dict.fromkeys("abcdxy", "food") | {"x": "tools"},
        ["a"],
        k=3,
    )
    first = (1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2)
    assert np.allclose(found.ndcg, [first, 1 / np.log2(3), 0])
    assert np.allclose(found.recall, [2 / 3, 1, 0])
    assert (found.coverage, found.popular_share) == (5 / 6, 1 / 5)
    assert np.isclose(found.diversity, (2 / 3 + 1 / 2) / 2)
