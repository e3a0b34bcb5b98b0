"""The linear model is what ridge regression of every item on the others comes to."""

import numpy as np
import pytest
import scipy.sparse as sp

from ml.linear import linear_model


def dense(near: np.ndarray, weight: np.ndarray) -> np.ndarray:
    whole = np.zeros((len(near), len(near)))
    np.put_along_axis(whole, near, weight, axis=1)
    return whole


@pytest.mark.parametrize("customers", [4, 40])  # inverted by customers, and by items
def test_weights_are_those_of_ridge_regression_item_by_item(customers: int) -> None:
    chance = np.random.default_rng(3)
    taste = chance.random((customers, 9)) * (chance.random((customers, 9)) < 0.6)
    found = dense(*linear_model(sp.csr_matrix(taste), 0.7, keep=8))
    for item in range(9):
        others = np.delete(np.arange(9), item)
        x = taste[:, others]
        expected = np.linalg.solve(x.T @ x + 0.7 * np.eye(8), x.T @ taste[:, item])
        assert np.allclose(found[others, item], expected, atol=1e-4)
        assert found[item, item] == 0


def test_the_largest_weights_are_kept_the_largest_first() -> None:
    taste = sp.random(30, 12, 0.5, random_state=5, format="csr")
    near, weight = linear_model(taste, 1.0, keep=3)
    whole = dense(*linear_model(taste, 1.0, keep=11))
    assert near.shape == weight.shape == (12, 3)
    for row in range(12):
        assert np.allclose(np.abs(weight[row]), np.sort(np.abs(whole[row]))[::-1][:3])


@pytest.mark.parametrize("items", [0, 1])
def test_without_other_items_there_is_nothing_to_say(items: int) -> None:
    near, weight = linear_model(sp.csr_matrix(np.ones((3, items))), 1.0, keep=5)
    assert near.shape == weight.shape == (items, 0)
