"""What is on the rise, in the order in which it fits a customer."""

import numpy as np

from serving.recommender.candidates import taste_of
from serving.recommender.features import Question
from serving.recommender.history import History
from serving.recommender.model import STATISTICS, Codes, Model
from serving.recommender.ranking import Wish, allowed, chosen

# Below this share of customers in a month a rise is mostly chance.
LEAST_SHARE = 0.005
_POOL = 200


def trending(model: Model, history: History, wish: Wish) -> list[tuple[int, float]]:
    """Items bought by more customers in the last 28 days than the 56 would let expect.

    The rise is log(month / two_months); of the items that rise most, those whose category and
    whose kindred the customer buys come first.

    Returns:
        Item numbers and rises, the best first.
    """
    month = model.statistics[:, STATISTICS.index("month")]
    two_months = model.statistics[:, STATISTICS.index("two_months")]
    is_often = month >= min(LEAST_SHARE, float(month.max(initial=0)))
    passing = allowed(model, history, wish)
    often = np.flatnonzero(is_often if passing is None else is_often & passing)
    rise = np.log((month[often] + 1e-4) / (two_months[often] + 1e-4))
    pool = np.argsort(-rise, kind="stable")[:_POOL]
    items: Codes = np.sort(often[pool]).astype(np.int32)
    question = Question(model, history, taste_of(model, history), items)
    nearness = -question.rank(question.taste.linear, question.taste.linear_steps)
    own_rise = np.log((month[items] + 1e-4) / (two_months[items] + 1e-4))
    fit = own_rise + question.category_share() + 0.1 * nearness
    best = chosen(model, wish, items[np.argsort(-fit, kind="stable")])
    place = np.searchsorted(items, best)
    return [(item, float(own_rise[at])) for item, at in zip(best, place, strict=True)]
