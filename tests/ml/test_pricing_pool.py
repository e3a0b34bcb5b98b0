"""Partial pooling: who has history keeps an own estimate, who has none the common one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.pricing_fit import Slopes
from ml.pricing_pool import SMALLEST_SPREAD, Common, common, pooled


def categories(precision: float, spread: float, count: int = 400) -> Slopes:
    """Estimates of categories drawn around -1.5 with a spread, each as precise as said."""
    rng = np.random.default_rng(3)
    true = np.array([-1.5, 0.5, 0.2]) + spread * rng.normal(size=(count, 3))
    seen = true + rng.normal(size=(count, 3)) / np.sqrt(precision)
    return Slopes(seen, np.repeat(np.eye(3)[None] * precision, count, 0))


@pytest.mark.parametrize("spread", [0.3, 0.8])
def test_the_common_mean_and_spread_are_recovered(spread: float) -> None:
    found = common(categories(precision=9.0, spread=spread))
    assert found.mean == pytest.approx([-1.5, 0.5, 0.2], abs=0.1)
    assert found.spread == pytest.approx([spread] * 3, rel=0.25)


def test_equal_categories_have_the_smallest_spread_and_one_is_enough() -> None:
    assert (common(categories(precision=4.0, spread=0.0)).spread < 0.2).all()
    alone = common(Slopes(np.array([[-2.0, 0.0, 0.0]]), np.eye(3)[None]))
    assert alone.mean[0] == pytest.approx(-2.0)
    assert (alone.spread == SMALLEST_SPREAD).all()


def test_history_decides_between_own_and_common() -> None:
    prior = Common(np.array([-1.5, 0.5, 0.2]), np.full(3, 0.5))
    own = np.array([[-4.0, 0.0, 0.0]] * 2)
    curvature = np.stack([np.eye(3) * 1e6, np.zeros((3, 3))])
    mean, deviation = pooled(Slopes(own, curvature), prior)
    assert mean[0] == pytest.approx(own[0], abs=1e-3) and deviation[0, 0] < 0.01
    assert mean[1] == pytest.approx(prior.mean) and deviation[1] == pytest.approx(prior.spread)


@given(st.floats(-5, 2), st.floats(0.01, 1000))
def test_a_pooled_elasticity_lies_between_own_and_common(own: float, precision: float) -> None:
    prior = Common(np.full(3, -1.5), np.full(3, 0.5))
    found = Slopes(np.full((1, 3), own), np.eye(3)[None] * precision)
    mean, deviation = pooled(found, prior)
    assert min(own, -1.5) - 1e-9 <= mean[0, 0] <= max(own, -1.5) + 1e-9
    assert deviation[0, 0] <= 0.5 + 1e-9
