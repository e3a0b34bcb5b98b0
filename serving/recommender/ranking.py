"""From a customer to ranked items with a reason each: what batch and the API both call."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from serving.recommender.candidates import candidates, taste_of
from serving.recommender.features import NEVER, Question, features
from serving.recommender.history import History
from serving.recommender.model import Codes, Floats, Model
from serving.recommender.trees import margins, probabilities


class Why(StrEnum):
    """What speaks most for an item."""

    AGAIN = "again"
    LIKE = "like"
    REGION = "region"
    NEW = "new"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True)
class Pick:
    """A recommended item.

    Attributes:
        item: its number.
        score: chance that the customer buys it within the weeks that the ranker was taught; of
            what was never bought, the chance of what the ranker alone would have put there.
        why: the kind of reason; `because` is the item that a LIKE names, and the days between
            purchases of an AGAIN (0: bought once).
    """

    item: int
    score: float
    why: Why
    because: int = -1


@dataclass(frozen=True)
class Wish:
    """What a caller wants of the list.

    Attributes:
        k: how many at most.
        bought: whether what the customer has bought before may be in it.
        category: number of the only category, -1 for all.
        per_category: most items of one category, 0 for no bound.
        offered: asked for further conditions (price, stock) of items in the order of their
            scores, some at a time; None accepts all.
    """

    k: int = 10
    bought: bool = True
    category: int = -1
    per_category: int = 0
    offered: Callable[[Codes], NDArray[np.bool_]] | None = None


def recommend(model: Model, history: History, wish: Wish) -> list[Pick]:
    """The items that this customer most likely buys next, the best first, ties by number."""
    taste = taste_of(model, history)
    items = candidates(model, history, taste, allowed(model, history, wish))
    question = Question(model, history, taste, items)
    margin, liking = score(question)
    scores = probabilities(margin)
    order = np.lexsort((items, -liking, -margin))
    best = chosen(model, wish, items[order])
    place = np.searchsorted(items, best)
    return [
        Pick(int(item), float(scores[at]), *_reason(question, int(at)))
        for item, at in zip(best, place, strict=True)
    ]


def told(model: Model, pick: Pick) -> str | None:
    """What the reason names: an item_id for LIKE, days between purchases for AGAIN, or nothing."""
    if pick.why is Why.LIKE:
        return str(model.item_ids[pick.because])
    return str(pick.because) if pick.why is Why.AGAIN and pick.because else None


def score(question: Question) -> tuple[Floats, Floats]:
    """For each candidate a margin to order by, and what decides between equal ones.

    What was bought before has the ranker's margin. What was not keeps the places that the ranker
    gives to new items, and exchanges them in the order of the blend: trees part items into few
    steps, the item models tell all of them apart.
    """
    model = question.model
    margin = margins(model.splits, model.thresholds, model.leaves, features(question))
    liking: Floats = sources(question, margin) @ model.blend
    fresh = np.flatnonzero(question.own < 0)
    blended = fresh[np.argsort(-liking[fresh], kind="stable")]
    exchanged = margin.copy()
    exchanged[blended] = -np.sort(-margin[fresh])
    return exchanged, liking


def sources(question: Question, margin: Floats) -> Floats:
    """What an order can be blended of: (candidates, 3), the margin, linear and ALS scores."""
    taste = question.taste
    return np.column_stack([margin, question.standard(taste.linear), question.standard(taste.als)])


def allowed(model: Model, history: History, wish: Wish) -> NDArray[np.bool_] | None:
    """Which items may be in the list, by their numbers; None: all."""
    if wish.bought and wish.category < 0:
        return None
    passing = np.ones(len(model.item_ids), np.bool_)
    if wish.category >= 0:
        passing = model.category == wish.category
    if not wish.bought:
        passing[history.items] = False
    return passing


def chosen(model: Model, wish: Wish, ranked: Codes) -> list[int]:
    """The first `k` that pass, at most `per_category` of a category."""
    taken: list[int] = []
    of_category: dict[int, int] = {}
    for item in _passing(wish, ranked):
        category = int(model.category[item])
        if wish.per_category and of_category.get(category, 0) >= wish.per_category:
            continue
        of_category[category] = of_category.get(category, 0) + 1
        taken.append(item)
        if len(taken) == wish.k:
            break
    return taken


def _passing(wish: Wish, ranked: Codes) -> Iterator[int]:
    """Items that the caller still offers, asked in pieces: mostly the first one is enough."""
    if wish.offered is None:
        yield from ranked.tolist()
        return
    piece = max(3 * wish.k, 30)
    for start in range(0, len(ranked), piece):
        part = ranked[start : start + piece]
        yield from part[wish.offered(part)].tolist()


def _reason(question: Question, at: int) -> tuple[Why, int]:
    model, history = question.model, question.history
    item = int(question.items[at])
    if question.baskets[at] > 0:
        interval = float(question.interval[at])
        return Why.AGAIN, round(interval) if interval < NEVER else 0
    close = _closest(question, item)
    if close >= 0:
        return Why.LIKE, close
    if 0 <= history.region < len(model.regional) and item in model.regional[history.region]:
        return Why.REGION, -1
    if item in model.newcomers:
        return Why.NEW, -1
    return Why.POPULAR, -1


def _closest(question: Question, item: int) -> int:
    """Of what the customer bought or looked at, what the item goes with most; -1 if nothing."""
    model = question.model
    if item >= model.learned or question.taste.linear[item] <= 0:
        return -1
    near, weight = model.neighbours[item], model.weights[item]
    held = question.touched[near] & (weight > 0)
    return int(near[held][np.argmax(weight[held])]) if held.any() else -1
