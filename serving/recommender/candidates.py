"""Which items are worth ranking for a customer: a few hundred from every source."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.recommender.history import History
from serving.recommender.model import Codes, Floats, Model

# Candidates of each source.
AGAIN, LINEAR, ALS, POPULAR, REGIONAL, NEW = 150, 200, 40, 100, 40, 20


@dataclass(frozen=True)
class Taste:
    """What the item models make of a customer, over the learned items.

    Attributes:
        linear: (learned,) the item-to-item model's scores.
        als: (learned,) the ALS's scores.
        linear_steps, als_steps: the highest of them among items never bought, rising: where a score
            stands between these is its rank, which means the same however much was learned from.
    """

    linear: Floats
    als: Floats
    linear_steps: Floats
    als_steps: Floats


def taste_of(model: Model, history: History) -> Taste:
    """Score the learned items by what a customer bought and looked at."""
    items, strength = history.taste()
    known = items < model.learned
    items, strength = items[known], strength[known]
    linear = np.bincount(
        model.neighbours[items].ravel(),
        weights=(model.weights[items] * strength[:, None]).ravel(),
        minlength=model.learned,
    ).astype(np.float32)
    als: Floats = model.factors @ folded_in(model, items, strength)
    own = history.items[history.items < model.learned]
    return Taste(linear, als, _steps(linear, own), _steps(als, own))


def _steps(scores: Floats, own: Codes) -> Floats:
    fresh = scores.copy()
    fresh[own] = -np.inf
    highest = np.partition(fresh, -LINEAR)[-LINEAR:] if len(fresh) > LINEAR else fresh
    return np.sort(highest[highest > -np.inf])


def folded_in(model: Model, items: Codes, strength: Floats) -> Floats:
    """A customer's ALS factors, given the items' (Hu, Koren and Volinsky 2008, equation 4).

    Spark scales the regularisation with the number of observations, and so does this.
    """
    alpha, regularization = float(model.als[0]), float(model.als[1])
    rank = model.factors.shape[1]
    if not len(items) or not rank:
        return np.zeros(rank, np.float32)
    own = model.factors[items]
    confidence = alpha * strength
    normal = model.gram + own.T @ (own * confidence[:, None])
    normal[np.diag_indices(rank)] += regularization * len(items) + 1e-6
    solved: Floats = np.linalg.solve(normal, own.T @ (1 + confidence)).astype(np.float32)
    return solved


def candidates(
    model: Model, history: History, taste: Taste, allowed: NDArray[np.bool_] | None = None
) -> Codes:
    """Item numbers, ascending, each once.

    Args:
        allowed: (items,) what may be offered at all; None allows everything.
    """
    again = history.items
    if len(again) > AGAIN:
        again = again[np.argpartition(-history.lasting, AGAIN)[:AGAIN]]
    popular, newcomers = model.popular, model.newcomers
    own = history.items[history.items < model.learned]
    fresh = taste.linear.copy()
    fresh[own] = -np.inf
    close = taste.als.copy()
    close[own] = -np.inf
    regional = _of_region(model, history.region)
    if allowed is not None:
        learned = allowed[: model.learned]
        fresh[~learned] = -np.inf
        close[~learned] = -np.inf
        again = again[allowed[again]]
        popular = np.flatnonzero(allowed).astype(np.int32)
        newcomers, regional = newcomers[allowed[newcomers]], regional[allowed[regional]]
    sources = (
        again,
        _best(fresh, LINEAR),
        _best(close, ALS) if model.factors.shape[1] else (),
        popular[:POPULAR],
        regional[:REGIONAL],
        newcomers[:NEW],
    )
    return np.unique(np.concatenate([np.asarray(one, np.int32) for one in sources]))


def _best(scores: Floats, n: int) -> Codes:
    best = np.argpartition(-scores, n)[:n] if len(scores) > n else np.arange(len(scores))
    return best[scores[best] > -np.inf].astype(np.int32)


def _of_region(model: Model, region: int) -> Codes:
    return model.regional[region] if 0 <= region < len(model.regional) else np.zeros(0, np.int32)
