"""The ranker's features, declared once: for training, batch and the API alike.

Every one is a function of what was known at the moment of the question: of a `History`, which ends
there, and of a `Model` that was fitted on nothing later.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from serving.recommender.candidates import Taste
from serving.recommender.history import History
from serving.recommender.model import STATISTICS, Codes, Floats, Model

NEVER = 400.0  # days, where something has not happened


@dataclass(frozen=True)
class Question:
    """One customer and the candidates to be ranked for them."""

    model: Model
    history: History
    taste: Taste
    items: Codes

    @cached_property
    def own(self) -> NDArray[np.int64]:
        """Position of each candidate in the history, -1 where it was never bought."""
        held = self.history.items
        if not len(held):
            return np.full(len(self.items), -1)
        place = np.minimum(np.searchsorted(held, self.items), len(held) - 1)
        return np.where(held[place] == self.items, place, -1)

    @cached_property
    def touched(self) -> NDArray[np.bool_]:
        """(learned,) whether the customer bought it or looked at it."""
        items = np.concatenate([self.history.items, np.array(self.history.viewed, np.int32)])
        touched = np.zeros(self.model.learned, np.bool_)
        touched[items[items < self.model.learned]] = True
        return touched

    def personal(self, values: Floats, absent: float) -> Floats:
        """A value per bought item, for each candidate."""
        padded = np.append(values, np.float32(absent))  # -1 is the last
        taken: Floats = padded[self.own]
        return taken

    def of_item(self, name: str) -> Floats:
        """A statistic of each candidate."""
        column: Floats = self.model.statistics[self.items, STATISTICS.index(name)]
        return column

    def rank(self, scores: Floats, steps: Floats) -> Floats:
        """Log of 1 + how many items never bought score higher; items not learned come last."""
        last = np.float32(np.log1p(len(steps)))
        if not len(steps):
            return np.full(len(self.items), last)
        own = scores[np.minimum(self.items, len(scores) - 1)]
        higher = len(steps) - np.searchsorted(steps, own, side="right")
        return np.where(self.items < len(scores), np.log1p(higher), last).astype(np.float32)

    def standard(self, scores: Floats) -> Floats:
        """Scores in standard deviations from the mean of the candidates never bought.

        Items not learned stand with the lowest of those.
        """
        learned = self.items < len(scores)
        fresh = scores[self.items[learned & (self.own < 0)]]
        if not len(fresh):
            return np.zeros(len(self.items), np.float32)
        held = np.where(learned, scores[np.where(learned, self.items, 0)], fresh.min())
        spread = max(float(fresh.std()), float(np.finfo(np.float32).tiny))
        apart: Floats = ((held - fresh.mean()) / spread).astype(np.float32)
        return apart

    @cached_property
    def baskets(self) -> Floats:
        return self.personal(self.history.baskets, 0)

    @cached_property
    def last_age(self) -> Floats:
        return self.personal(self.history.last_age, NEVER)

    @cached_property
    def interval(self) -> Floats:
        """Days between purchases of the candidate; NEVER with fewer than two."""
        span = self.personal(self.history.first_age, NEVER) - self.last_age
        apart = span / np.maximum(self.baskets - 1, 1)
        return np.where(self.baskets > 1, apart, NEVER).astype(np.float32)

    @cached_property
    def category(self) -> Codes:
        return self.model.category[self.items]

    def category_share(self) -> Floats:
        """Share of the candidate's category in the fading baskets."""
        held = self.model.category[self.history.items]
        sums = np.bincount(held, self.history.lasting, len(self.model.categories))
        return (sums / max(float(sums.sum()), 1e-9))[self.category].astype(np.float32)

    def category_age(self) -> Floats:
        """Days since anything of the candidate's category was bought."""
        ages = np.full(len(self.model.categories), NEVER, np.float32)
        np.minimum.at(ages, self.model.category[self.history.items], self.history.last_age)
        taken: Floats = ages[self.category]
        return taken

    def region_share(self) -> Floats:
        """Share of the region's customers that bought the candidate lately."""
        if self.history.region < 0:
            return self.of_item("two_months")
        row: Floats = self.model.region_share[self.history.region, self.items]
        return row


@dataclass(frozen=True)
class Feature:
    """A named column of the ranker; `of` gives one value per candidate, or one for all."""

    name: str
    comment: str
    of: Callable[[Question], Floats | float]


FEATURES = (
    Feature("baskets", "log of 1 + baskets that held the item", lambda q: np.log1p(q.baskets)),
    Feature("last_age", "days since it was last bought", lambda q: q.last_age),
    Feature(
        "first_age",
        "days since it was first bought",
        lambda q: q.personal(q.history.first_age, NEVER),
    ),
    Feature(
        "recent",
        "baskets, fading with a half-life of 30 days",
        lambda q: q.personal(q.history.recent, 0),
    ),
    Feature(
        "lasting",
        "baskets, fading with a half-life of 120 days",
        lambda q: q.personal(q.history.lasting, 0),
    ),
    Feature("interval", "mean days between purchases of it", lambda q: q.interval),
    Feature(
        "due",
        "days since the last, by the interval; -1 if there is none",
        lambda q: np.where(q.baskets > 1, q.last_age / np.maximum(q.interval, 1), -1),
    ),
    Feature(
        "share_of_visits",
        "share of the customer's baskets that held it",
        lambda q: q.baskets / max(q.history.visits, 1.0),
    ),
    Feature(
        "linear_rank",
        "log rank by the item-to-item model",
        lambda q: q.rank(q.taste.linear, q.taste.linear_steps),
    ),
    Feature(
        "als_rank",
        "log rank by the implicit ALS",
        lambda q: q.rank(q.taste.als, q.taste.als_steps),
    ),
    Feature("customers", "share of customers who ever bought it", lambda q: q.of_item("customers")),
    Feature("week", "share of customers within 7 days", lambda q: q.of_item("week")),
    Feature("month", "share of customers within 28 days", lambda q: q.of_item("month")),
    Feature("two_months", "share of customers within 56 days", lambda q: q.of_item("two_months")),
    Feature(
        "trend",
        "log ratio of the last 28 days to 56",
        lambda q: np.log((q.of_item("month") + 1e-4) / (q.of_item("two_months") + 1e-4)),
    ),
    Feature("repeated", "share of customers who came back for it", lambda q: q.of_item("repeated")),
    Feature("age", "days since anyone first bought it", lambda q: q.of_item("age")),
    Feature("price", "log of 1 + what a unit costs", lambda q: np.log1p(q.of_item("price"))),
    Feature("region_share", "share of the region's customers of late", Question.region_share),
    Feature("category_share", "its category's share of what is bought", Question.category_share),
    Feature("category_age", "days since its category was bought", Question.category_age),
    Feature("visits", "log of 1 + the customer's baskets", lambda q: np.log1p(q.history.visits)),
    Feature("recent_visits", "baskets within 28 days", lambda q: q.history.recent_visits),
    Feature("last_visit_age", "days since the last basket", lambda q: q.history.last_visit_age),
    Feature("variety", "log of 1 + different items", lambda q: np.log1p(len(q.history.items))),
)


def features(question: Question) -> Floats:
    """The ranker's input: (candidates, len(FEATURES))."""
    table = np.empty((len(FEATURES), len(question.items)), np.float32)
    for row, feature in zip(table, FEATURES, strict=True):
        row[:] = feature.of(question)
    return np.ascontiguousarray(table.T)
