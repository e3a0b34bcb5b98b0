"""Predicted units: intervals that hold what they say, errors by hand."""

import numpy as np
import pyarrow as pa
import pytest

from ml.pricing_predict import (
    Forecast,
    Noise,
    absolute_error,
    calibrated,
    coverage,
    forecast,
    interval,
    regular,
)


def sales(seed: int, extra: float, items: int = 1500) -> Forecast:
    """Units with an uncertain level and extra variance, as the model has it."""
    rng = np.random.default_rng(seed)
    level, shape = rng.uniform(0.5, 15, items), rng.uniform(5, 60, items)
    r = 1 / (extra + 1 / shape)
    mean = np.repeat(level[:, None], 4, 1)
    units = rng.poisson(rng.gamma(r[:, None], mean / r[:, None])).astype(float)
    return Forecast(mean, shape, units, units)


@pytest.mark.parametrize("extra", [0.05, 0.4])
def test_calibrated_intervals_cover_new_sales_nine_times_in_ten(extra: float) -> None:
    noise = calibrated(sales(1, extra))
    assert noise.extra == pytest.approx(extra, abs=0.05)
    assert 0.88 < coverage(sales(2, extra), noise) < 0.92


def test_an_interval_is_of_whole_units_around_the_mean_and_grows_with_doubt() -> None:
    mean = np.array([[10.0], [10.0]])
    low, high = interval(mean, np.array([5.0, 500.0]), Noise(0.1, 0.05))
    assert (low < mean).all() and (mean < high).all() and (low == low.round()).all()
    assert high[0, 0] - low[0, 0] > high[1, 0] - low[1, 0]
    nothing = interval(np.zeros((1, 2)), np.zeros(1), Noise(0.1, 0.05))
    assert [bound.tolist() for bound in nothing] == [[[0, 0]], [[0, 0]]]


ITEMS = pa.table(
    {
        "demand_shape": [8.0, 2.0],
        "demand_rate": [2.0, 4.0],
        "week_count": pa.array([20, 30], pa.int32()),
        "recent": [[1.0] * 13, [1.0] * 5 + [0.0] * 8],
        "actual": [[5.0, 3.0], [0.0, 1.0]],
        "multiple": [[1.0, 2.0], [1.0, 1.0]],
    }
)


def test_a_forecast_is_level_times_multiple() -> None:
    of = forecast(ITEMS)
    assert of.mean.tolist() == [[4.0, 8.0], [0.5, 0.5]]
    assert absolute_error(of.mean, of.actual) == pytest.approx((1 + 5 + 0.5 + 0.5) / 4)


def test_regular_items_sell_in_half_of_the_weeks_and_lately() -> None:
    assert regular(ITEMS, 40)["demand_shape"].to_pylist() == [8.0]
    assert len(regular(ITEMS, 48)) == 0
