"""From the demand model to units in a week: the mean, an interval, and how far both are right."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize_scalar
from scipy.stats import nbinom

from ml.pricing_fit import Floats

COVERAGE = 0.90
_TAILS = np.linspace(0.02, 0.15, 53)


@dataclass(frozen=True)
class Forecast:
    """Units of items in held-out weeks: what was predicted and what was sold.

    Attributes:
        mean: shape (items, weeks).
        shape: of the level's gamma distribution, length items.
        actual: shape (items, weeks).
        recent: the weeks before, the newest last, shape (items, 13).
    """

    mean: Floats
    shape: Floats
    actual: Floats
    recent: Floats


@dataclass(frozen=True)
class Noise:
    """How far units scatter around their mean.

    Attributes:
        extra: variance beyond Poisson's and the level's own uncertainty, over the squared mean.
        tail: probability that is cut off at each end of the 90 % interval. Whole units make an
            interval wider than it says, so this is more than 0.05.
    """

    extra: float
    tail: float


def forecast(items: pa.Table) -> Forecast:
    """Rows of `pricing_model.ITEM_ROWS` with held-out weeks, as a forecast."""
    shape, rate = items["demand_shape"].to_numpy(), items["demand_rate"].to_numpy()
    actual, multiple, recent = (
        np.array(items[name].to_pylist()) for name in ("actual", "multiple", "recent")
    )
    return Forecast((shape / rate)[:, None] * multiple, shape, actual, recent)


def regular(items: pa.Table, learned: int) -> pa.Table:
    """The items that were sold in at least half of the learned weeks, and in one of the last 8."""
    often = items["week_count"].to_numpy() >= learned / 2
    lately = np.array(items["recent"].to_pylist())[:, -8:].sum(axis=1) > 0
    return items.filter(pa.array(often & lately))


def size(shape: Floats, extra: float) -> Floats:
    """The negative binomial's size: a gamma level, and `extra` variance on top."""
    found: Floats = 1 / (extra + 1 / np.maximum(shape, 1e-3))
    return found


def interval(mean: Floats, shape: Floats, noise: Noise) -> tuple[Floats, Floats]:
    """Lowest and highest units of the 90 % predictive interval, both included.

    Args:
        mean: expected units, shape (items, weeks); `shape`: length items.
    """
    r = size(shape, noise.extra)[:, None]
    chance = r / (r + np.maximum(mean, 1e-9))
    return nbinom.ppf(noise.tail, r, chance), nbinom.ppf(1 - noise.tail, r, chance)


def coverage(of: Forecast, noise: Noise) -> float:
    """Share of the held-out weeks whose units lie within the interval."""
    low, high = interval(of.mean, of.shape, noise)
    return float(((of.actual >= low) & (of.actual <= high)).mean())


def calibrated(of: Forecast) -> Noise:
    """The most likely extra variance, and the tail with which the interval covers 90 %."""

    def surprise(extra: float) -> float:
        r = size(of.shape, extra)[:, None]
        return float(-nbinom.logpmf(of.actual, r, r / (r + np.maximum(of.mean, 1e-9))).mean())

    extra = float(minimize_scalar(surprise, bounds=(1e-4, 3.0), method="bounded").x)
    covered = [abs(coverage(of, Noise(extra, tail)) - COVERAGE) for tail in _TAILS]
    return Noise(extra, float(_TAILS[int(np.argmin(covered))]))


def absolute_error(mean: Floats, actual: Floats) -> float:
    """Mean absolute error in units of an item in a week."""
    return float(np.abs(mean - actual).mean())
