"""How demand follows the price: coefficients of a group of items, and their level of demand.

Weekly units of an item are Poisson with mean level x exp(coefficients @ covariates), its spread
widened by a dispersion (quasi-likelihood). The covariates are the logarithm of the price paid
relative to the item's usual one, and the shares on display and in the mailer. Given an item's
total its units per week are multinomial, so that its level need not be known to learn the
coefficients (conditional likelihood; Cameron and Trivedi, "Regression Analysis of Count Data").
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

COVARIATES = ("price", "displayed", "mailed")
# What shops see before anything is known (Bijmolt, van Heerde and Pieters, "New empirical
# generalizations on the determinants of price elasticity", 2005, found -2.6 for brands); weak.
FIRST_GUESS = np.array([-2.0, 0.5, 0.5])
FIRST_PRECISION = 0.5
LARGEST_LOG_RATIO = 1.5  # beyond it a "price" is a slip of the till
_STEPS = 30


@dataclass(frozen=True)
class Weeks:
    """Items of one category by week; n items, w weeks.

    Attributes:
        items: item_id, length n.
        units: shape (n, w).
        covariates: shape (n, w, 3), in the order of COVARIATES.
        usual_log_price: log of the median price paid in the learned weeks, length n.
        last_log_price: log of the last price paid in them.
        learned: how many weeks may be learned from, the first ones.
    """

    items: Ints | npt.NDArray[np.object_]
    units: Floats
    covariates: Floats
    usual_log_price: Floats
    last_log_price: Floats
    learned: int


@dataclass(frozen=True)
class Slopes:
    """Coefficients, shape (g, 3), and the curvature of their likelihood, shape (g, 3, 3)."""

    mean: Floats
    curvature: Floats


def dense(rows: pa.Table, weeks: int, held_out: int) -> Weeks:
    """Rows of `pricing_panel.weekly` as arrays, a week without a sale at the last known price.

    Items that were not sold in the learned weeks are left out.
    """
    learned = weeks - held_out
    codes = rows["item_id"].combine_chunks().dictionary_encode()
    place = (codes.indices.to_numpy(), rows["week"].to_numpy())
    shape = (len(codes.dictionary), weeks)
    columns = {}
    for name in ("units", "paid_cents", "displayed", "mailed"):
        columns[name] = np.zeros(shape)
        columns[name][place] = rows[name].to_numpy()
    sold = np.flatnonzero(columns["units"][:, :learned].sum(axis=1) > 0)
    units, paid, displayed, mailed = (columns[name][sold] for name in columns)
    price = np.log(np.divide(paid, units, out=np.full(units.shape, np.nan), where=units > 0))
    usual = np.nanmedian(price[:, :learned], axis=1)
    filled = _carried(price, usual)
    ratio = np.clip(filled - usual[:, None], -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO)
    return Weeks(
        items=codes.dictionary.to_numpy(zero_copy_only=False)[sold],
        units=units,
        covariates=np.stack([ratio, displayed, mailed], axis=2),
        usual_log_price=usual,
        last_log_price=filled[:, learned - 1],
        learned=learned,
    )


def slopes(
    weeks: Weeks, group: Ints, groups: int, prior: Floats, precision: Floats, dispersion: float
) -> Slopes:
    """The most likely coefficients of each group of items, by Newton's method.

    Args:
        group: number of each item's group.
        prior: shape (groups, 3); `precision`: of the prior, length 3.
        dispersion: variance of weekly units over their mean.
    """
    mean = prior.copy()
    ridge = np.diag(precision)
    for _ in range(_STEPS):
        slope, curvature = _derivatives(weeks, mean[group], group, groups)
        slope = slope / dispersion - (mean - prior) @ ridge
        step = np.linalg.solve(curvature / dispersion + ridge, slope[:, :, None])[:, :, 0]
        mean = mean + np.clip(step, -1, 1)  # far from the top a full step may overshoot
        if np.abs(step).max() < 1e-4:
            break
    return Slopes(mean, _derivatives(weeks, mean[group], group, groups)[1] / dispersion)


def spread(weeks: Weeks, mean: Floats) -> tuple[float, float]:
    """Sum of squared Pearson residuals of the learned weeks, and their degrees of freedom.

    Args:
        mean: coefficients per item, shape (n, 3).
    """
    units = weeks.units[:, : weeks.learned]
    expected = units.sum(axis=1, keepdims=True) * _shares(weeks, mean)
    chi = ((units - expected) ** 2 / np.maximum(expected, 1e-9)).sum()
    return float(chi), float(len(units) * (weeks.learned - 1) - mean.shape[1])


def levels(weeks: Weeks, mean: Floats, memory: float, start: float) -> tuple[Floats, Floats]:
    """Demand at the usual price without promotion, as a gamma distribution: shape, rate.

    Units and expected multiples are summed over the learned weeks, each week back counting
    `memory` times as much (discounting; West and Harrison, "Bayesian Forecasting and Dynamic
    Models"); the mean of all weeks counts as `start` weeks more.
    """
    multiple = multiples(weeks, mean)[:, : weeks.learned]
    units = weeks.units[:, : weeks.learned]
    weight = memory ** np.arange(weeks.learned)[::-1]
    overall = units.sum(axis=1) / multiple.sum(axis=1)
    return (weight * units).sum(axis=1) + start * overall, (weight * multiple).sum(axis=1) + start


def multiples(weeks: Weeks, mean: Floats) -> Floats:
    """exp(coefficients @ covariates): demand as a multiple of the level, shape (n, w)."""
    found: Floats = np.exp(np.einsum("nwk,nk->nw", weeks.covariates, mean))
    return found


def _carried(price: Floats, first: Floats) -> Floats:
    """Each week's price, or the last one before it; `first` before the first."""
    known = np.concatenate([first[:, None], price], axis=1)
    last = np.maximum.accumulate(np.where(np.isnan(known), 0, np.arange(known.shape[1])), axis=1)
    filled: Floats = np.take_along_axis(known, last, axis=1)[:, 1:]
    return filled


def _shares(weeks: Weeks, mean: Floats) -> Floats:
    """Expected share of each learned week in an item's units."""
    multiple = multiples(weeks, mean)[:, : weeks.learned]
    shares: Floats = multiple / multiple.sum(axis=1, keepdims=True)
    return shares


def _derivatives(weeks: Weeks, mean: Floats, group: Ints, groups: int) -> tuple[Floats, Floats]:
    """First derivative and negative second derivative of the log-likelihood, summed by group."""
    units = weeks.units[:, : weeks.learned]
    total = units.sum(axis=1)
    x = weeks.covariates[:, : weeks.learned]
    share = _shares(weeks, mean)
    average = np.einsum("nw,nwk->nk", share, x)
    slope = np.einsum("nw,nwk->nk", units, x) - total[:, None] * average
    apart = x - average[:, None, :]
    second = np.einsum("nw,nwk,nwl->nkl", total[:, None] * share, apart, apart, optimize=True)
    slopes, curvature = np.zeros((groups, 3)), np.zeros((groups, 3, 3))
    np.add.at(slopes, group, slope)
    np.add.at(curvature, group, second)
    return slopes, curvature
