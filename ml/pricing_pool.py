"""Partial pooling: what categories have in common, and how far a category or item leaves it."""

from dataclasses import dataclass

import numpy as np

from ml.pricing_fit import Floats, Slopes

SMALLEST_SPREAD = 0.05  # of a coefficient between categories; less cannot be told from none


@dataclass(frozen=True)
class Common:
    """What the categories' coefficients are drawn from: mean and standard deviation, length 3."""

    mean: Floats
    spread: Floats


def common(found: Slopes) -> Common:
    """Mean and spread of the categories' true coefficients, each by its own precision.

    The random-effects estimate by moments of DerSimonian and Laird, "Meta-analysis in clinical
    trials" (1986), coefficient by coefficient.
    """
    variance = np.einsum("gkk->gk", np.linalg.inv(found.curvature + 1e-6 * np.eye(3)))
    weight = 1 / variance
    mean = (weight * found.mean).sum(axis=0) / weight.sum(axis=0)
    excess = (weight * (found.mean - mean) ** 2).sum(axis=0) - (len(found.mean) - 1)
    scale = weight.sum(axis=0) - (weight**2).sum(axis=0) / weight.sum(axis=0)
    between = np.maximum(excess, 0) / np.maximum(scale, 1e-12)
    spread = np.maximum(np.sqrt(between), SMALLEST_SPREAD)
    weight = 1 / (variance + spread**2)
    return Common((weight * found.mean).sum(axis=0) / weight.sum(axis=0), spread)


def pooled(found: Slopes, prior: Common) -> tuple[Floats, Floats]:
    """Each category between its own estimate and the common one: means (g, 3), deviations (g, 3).

    The posterior of a normal likelihood with a normal prior: a category with much history keeps
    its own estimate, one with none has the common mean and spread.
    """
    ridge = np.diag(1 / prior.spread**2)
    precision = found.curvature + ridge
    target = np.einsum("gkl,gl->gk", found.curvature, found.mean) + prior.mean @ ridge
    mean: Floats = np.linalg.solve(precision, target[:, :, None])[:, :, 0]
    return mean, deviations(precision)


def deviations(precision: Floats) -> Floats:
    """Standard deviations of coefficients from their precision matrices: shape (g, 3)."""
    found: Floats = np.sqrt(np.einsum("gkk->gk", np.linalg.inv(precision)))
    return found
