"""How text and a customer's taste become one order: the features of a hit and their weights.

The same functions serve requests, training and measurement; only the data behind them differ.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FEATURES = ("text", "popularity", "own", "recent", "category", "brand")
# Where there are too few purchases to learn from.
TEXT_AND_POPULARITY = np.array([2.0, 1.0, 0.0, 0.0, 0.0, 0.0])
# So many purchases as everyone makes them are added to a customer's own before shares are taken.
SMOOTHING = 5.0
REASONS = {
    "own": "you bought it before",
    "recent": "you bought it lately",
    "category": "from a category that you often buy",
    "brand": "of a brand that you often buy",
}
TELLING = 0.1  # below this a taste moves an item too little to be named as the reason


@dataclass(frozen=True)
class Catalogue:
    """What is known of each item by its row, whoever asks; all of length n.

    Attributes:
        popularity: log(1 + purchases, those of `search.popularity_days` ago counting 1/e).
        category: code of the item's category.
        brand: code of its brand within its category; 0 to n - 1 over all categories.
        category_share: share of all purchases that its category has, above 0.
        brand_share: share of its category's purchases that its brand has, above 0.
    """

    popularity: Floats
    category: Ints
    brand: Ints
    category_share: Floats
    brand_share: Floats


@dataclass(frozen=True)
class Taste:
    """What a customer bought, by row of the catalogue, ascending.

    Attributes:
        baskets: how many baskets held the item.
        recent: the same, those of `search.taste_days` ago counting 1/e.
    """

    rows: Ints
    baskets: Floats
    recent: Floats


NOBODY = Taste(np.array([], np.int64), np.array([]), np.array([]))


def features(catalogue: Catalogue, taste: Taste, rows: Ints, text: Floats) -> Floats:
    """The features of hits in the order of `FEATURES`: shape (hits, 6).

    Text is relative to the best hit; own and recent are logarithms of the customer's purchases of
    the very item; category and brand are logarithms of how much more of them the customer buys
    than everyone does. All of taste is 0 for a customer without purchases.

    Args:
        rows: the hits' rows.
        text: their BM25 scores.
    """
    bought, mine = _lookup(taste.rows, rows)
    own = np.where(mine, np.log1p(taste.baskets[bought]) if len(taste.rows) else 0.0, 0.0)
    recent = np.where(mine, np.log1p(taste.recent[bought]) if len(taste.rows) else 0.0, 0.0)
    by_category = np.bincount(catalogue.category[taste.rows], taste.baskets)
    by_brand = np.bincount(catalogue.brand[taste.rows], taste.baskets)
    in_category = _at(by_category, catalogue.category[rows])
    in_brand = _at(by_brand, catalogue.brand[rows])
    return np.stack(
        [
            text / max(float(text.max(initial=0.0)), 1e-9),
            catalogue.popularity[rows],
            own,
            recent,
            _lift(in_category, float(taste.baskets.sum()), catalogue.category_share[rows]),
            _lift(in_brand, in_category, catalogue.brand_share[rows]),
        ],
        axis=1,
    )


def order(scores: Floats, rows: Ints) -> Ints:
    """Positions of the hits, the best score first; equal ones by row, the popular first."""
    return np.lexsort((rows, -scores)).astype(np.int64)


def reason(hit: Floats, weights: Floats) -> str:
    """What of a customer's taste moved a hit most; empty if nothing much did.

    Args:
        hit: its features.
    """
    moved = {name: hit[FEATURES.index(name)] * weights[FEATURES.index(name)] for name in REASONS}
    best = max(moved, key=lambda name: moved[name])
    return REASONS[best] if moved[best] >= TELLING else ""


def _lookup(among: Ints, rows: Ints) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Positions of `rows` in the ascending `among`, and whether they are in it at all."""
    if not len(among):
        return np.zeros(len(rows), np.int64), np.zeros(len(rows), np.bool_)
    place = np.minimum(np.searchsorted(among, rows), len(among) - 1)
    return place.astype(np.int64), among[place] == rows


def _at(counts: npt.NDArray[Any], codes: Ints) -> Floats:
    """`counts[codes]`, 0 beyond its end."""
    if not len(counts):
        return np.zeros(len(codes))
    inside = codes < len(counts)
    return np.where(inside, counts[np.minimum(codes, len(counts) - 1)], 0.0)


def _lift(count: Floats, total: Floats | float, share: Floats) -> Floats:
    """log of a customer's smoothed share over everyone's."""
    lift: Floats = np.log((count + SMOOTHING * share) / (total + SMOOTHING) / share)
    return lift
