"""The features of a hit, against figures worked out by hand."""

import numpy as np
import pytest

from serving.search_ranking import (
    FEATURES,
    NOBODY,
    SMOOTHING,
    Catalogue,
    Taste,
    features,
    order,
    reason,
)

CATALOGUE = Catalogue(
    popularity=np.array([3.0, 2.0, 1.0]),
    category=np.array([0, 0, 1]),
    brand=np.array([0, 1, 2]),
    category_share=np.array([0.8, 0.8, 0.2]),
    brand_share=np.array([0.75, 0.25, 1.0]),
)
ROWS = np.array([2, 0, 1])
TEXT = np.array([4.0, 8.0, 2.0])


def column(found: np.ndarray, name: str) -> list[float]:
    return found[:, FEATURES.index(name)].tolist()


def test_a_stranger_has_text_and_popularity_alone() -> None:
    found = features(CATALOGUE, NOBODY, ROWS, TEXT)
    assert column(found, "text") == [0.5, 1.0, 0.25]
    assert column(found, "popularity") == [1.0, 3.0, 2.0]
    assert np.abs(found[:, 2:]).max() < 1e-12


def test_taste_is_own_purchases_and_shares_beside_everyones() -> None:
    taste = Taste(np.array([1, 2]), np.array([3.0, 1.0]), np.array([0.5, 0.0]))
    found = features(CATALOGUE, taste, ROWS, TEXT)
    assert column(found, "own") == pytest.approx([np.log(2), 0.0, np.log(4)])
    assert column(found, "recent") == pytest.approx([0.0, 0.0, np.log(1.5)])
    in_dairy = np.log((3 + SMOOTHING * 0.8) / (4 + SMOOTHING) / 0.8)
    elsewhere = np.log((1 + SMOOTHING * 0.2) / (4 + SMOOTHING) / 0.2)
    assert column(found, "category") == pytest.approx([elsewhere, in_dairy, in_dairy])
    other = np.log(SMOOTHING * 0.75 / (3 + SMOOTHING) / 0.75)
    mine = np.log((3 + SMOOTHING * 0.25) / (3 + SMOOTHING) / 0.25)
    assert column(found, "brand") == pytest.approx([0.0, other, mine])


def test_no_hits_have_no_features() -> None:
    nothing = np.array([], dtype=np.int64)
    assert features(CATALOGUE, NOBODY, nothing, np.array([])).shape == (0, len(FEATURES))


def test_equal_scores_stand_by_row() -> None:
    assert order(np.array([1.0, 2.0, 1.0]), np.array([9, 5, 3])).tolist() == [1, 2, 0]


def test_the_reason_is_what_moved_most_and_nothing_if_little_did() -> None:
    weights = np.array([2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert reason(np.array([1, 3, 0, 0, 0.05, 0.02]), weights) == ""
    assert "category" in reason(np.array([1, 3, 0, 0, 0.5, 0.2]), weights)
    assert reason(np.array([1, 3, 2.0, 1.0, 0.5, 0.2]), weights) == "you bought it before"
