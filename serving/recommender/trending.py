"""What is on the rise, in the order in which it fits a customer."""

import numpy as np

from serving.recommender.candidates import taste_of
from serving.recommender.features import Question
from serving.recommender.history import History
from serving.recommender.model import STATISTICS, Codes, Model

# Below this share of customers in a month a rise is mostly chance.
LEAST_SHARE = 0.005
_POOL = 200


def trending(model: Model, history: History, k: int) -> list[tuple[int, float]]:
    """Items bought by more customers in the last 28 days than the 56 would let expect.

    The rise is log(month / two_months); of the items that rise most, those whose category and
    whose kindred the customer buys come first.

    Returns:
        Item numbers and rises, the best first.
    """
    month = model.statistics[:, STATISTICS.index("month")]
    two_months = model.statistics[:, STATISTICS.index("two_months")]
    often = np.flatnonzero(month >= min(LEAST_SHARE, float(month.max(initial=0))))
    rise = np.log((month[often] + 1e-4) / (two_months[often] + 1e-4))
    pool = np.argsort(-rise, kind="stable")[:_POOL]
    items: Codes = np.sort(often[pool]).astype(np.int32)
    question = Question(model, history, taste_of(model, history), items)
    nearness = -question.rank(question.taste.linear, question.taste.linear_steps)
    own_rise = np.log((month[items] + 1e-4) / (two_months[items] + 1e-4))
    fit = own_rise + question.category_share() + 0.1 * nearness
    best = np.argsort(-fit, kind="stable")[:k]
    return [(int(items[at]), float(own_rise[at])) for at in best]
