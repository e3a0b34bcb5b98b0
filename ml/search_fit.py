"""Learns how much each feature of a hit counts, from what customers bought, and measures it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy.optimize import minimize

from serving.search import SearchIndex
from serving.search_ranking import FEATURES, NOBODY, Floats, Ints, order
from serving.search_text import Filters

RIDGE = 1e-3
TOP = 10


@dataclass(frozen=True)
class Wish:
    """The hits of one query, their rows, and which of them was bought (its position)."""

    hits: Floats
    rows: Ints
    bought: int


@dataclass(frozen=True)
class Rank:
    """Mean reciprocal ranks of the bought item among the first ten, in [0, 1], per order.

    Attributes:
        text: by the words alone, equal texts in the order of item_id.
        popular: by words and popularity, the same for everyone.
        personal: by all that is known of the customer.
        queries: how many were ranked; one whose hits lack the item counts as 0.
    """

    text: float
    popular: float
    personal: float
    queries: int


def only(*names: str) -> Floats:
    """1 for each named feature, 0 for the others."""
    return np.array([name in names for name in FEATURES], dtype=np.float64)


def fit(wishes: Sequence[Wish], used: Floats) -> Floats:
    """Weights of a conditional logit: shape (features,).

    The chance that a hit is the one bought is softmax(features @ weights) over the query's hits
    (McFadden, "Conditional logit analysis of qualitative choice behavior", 1974), with a ridge;
    the likelihood is concave, so there is one best answer.

    Args:
        wishes: at least one.
        used: 1 for each feature that may count, 0 for the others.
    """
    hits = np.concatenate([wish.hits for wish in wishes]) * used
    sizes = np.array([len(wish.hits) for wish in wishes])
    starts = np.cumsum(sizes) - sizes
    bought = starts + np.array([wish.bought for wish in wishes])
    query = np.repeat(np.arange(len(wishes)), sizes)

    def loss(weights: Floats) -> tuple[float, Floats]:
        score = hits @ weights
        best = np.maximum.reduceat(score, starts)
        chance = np.exp(score - best[query])
        total = np.add.reduceat(chance, starts)
        likelihood = (score[bought] - best - np.log(total)).mean()
        expected = hits.T @ (chance / total[query]) / len(wishes)
        slope = hits[bought].mean(axis=0) - expected
        return RIDGE * weights @ weights - likelihood, 2 * RIDGE * weights - slope

    weights: Floats = minimize(loss, np.zeros(len(used)), jac=True, method="L-BFGS-B").x
    return weights


def wishes(index: SearchIndex, queries: pa.Table) -> Iterator[Wish | None]:
    """The hits of each query; None where the bought item is not among them.

    Args:
        queries: customer_id, text, row (of the bought item in the index).
    """
    for query in queries.select(["customer_id", "text", "row"]).to_pylist():
        known = index.taste(query["customer_id"])
        ranked = index.ranked(index.read(query["text"]).slots, known or NOBODY, Filters())
        rows = ranked.matches.rows
        place = np.flatnonzero(rows == query["row"])
        yield Wish(ranked.features, rows, int(place[0])) if len(place) else None


def judge(
    index: SearchIndex, queries: pa.Table, item_place: Ints, weights: Floats, popular: Floats
) -> Floats:
    """Reciprocal ranks of the bought items: shape (queries, 3), for text, popular and personal.

    Args:
        queries: customer_id, text, row.
        item_place: of each row its place in the order of item_id.
        weights: of the order that is served.
        popular: of the order that knows no customer.
    """
    found = np.zeros((len(queries), 3))
    for place, wish in enumerate(wishes(index, queries)):
        if wish is not None:
            found[place] = (
                _reciprocal(wish, wish.hits[:, 0], item_place[wish.rows]),
                _reciprocal(wish, wish.hits @ popular, wish.rows),
                _reciprocal(wish, wish.hits @ weights, wish.rows),
            )
    return found


def mean_rank(judged: Floats) -> Rank:
    """The means of what `judge` found; 0 of nothing."""
    text, popular, personal = judged.mean(axis=0) if len(judged) else np.zeros(3)
    return Rank(float(text), float(popular), float(personal), len(judged))


def _reciprocal(wish: Wish, scores: Floats, ties: Ints) -> float:
    """1 / rank of the bought item; 0 beyond the tenth place."""
    place = np.flatnonzero(order(scores, ties)[:TOP] == wish.bought)
    return 1.0 / (int(place[0]) + 1) if len(place) else 0.0
