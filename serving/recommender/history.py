"""What is known of one customer at one moment."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from serving.recommender.model import Codes, Floats

# Half-lives in days of the two fading counts of a customer's baskets with an item.
RECENT, LASTING = 30.0, 120.0
# Bought rows of one customer that are looked at, those bought most often of late first.
MOST = 500
# An item that was looked at counts like half of a basket for what it says of the taste.
VIEW = 0.5


@dataclass(frozen=True)
class History:
    """A customer's purchases, one entry per item, ages in days before the moment.

    Attributes:
        items: (n,) item numbers, ascending, each once.
        baskets: (n,) in how many baskets it was.
        first_age, last_age: (n,) of the first and the last of them.
        recent, lasting: (n,) baskets that fade with the half-lives RECENT and LASTING.
        visits: baskets of any kind; `recent_visits` of the last 28 days.
        last_visit_age: of the last basket.
        region: number of the usual region, -1 if there is none.
        viewed: items that were looked at in this session.
    """

    items: Codes
    baskets: Floats
    first_age: Floats
    last_age: Floats
    recent: Floats
    lasting: Floats
    visits: float = 0.0
    recent_visits: float = 0.0
    last_visit_age: float = 0.0
    region: int = -1
    viewed: tuple[int, ...] = ()

    def with_session(self, bought: Iterable[int], viewed: Iterable[int]) -> "History":
        """The same customer after buying and looking at items just now."""
        codes, counts = np.unique(np.fromiter(bought, np.int32), return_counts=True)
        looked = tuple(dict.fromkeys(viewed))
        if not len(codes):
            return replace(self, viewed=looked)
        items = np.union1d(self.items, codes).astype(np.int32)
        old, now = np.searchsorted(items, self.items), np.searchsorted(items, codes)

        def spread(values: Floats, fill: float) -> Floats:
            wide = np.full(len(items), fill, np.float32)
            wide[old] = values
            return wide

        baskets, recent = spread(self.baskets, 0), spread(self.recent, 0)
        lasting, last_age = spread(self.lasting, 0), spread(self.last_age, 0)
        for fading in (baskets, recent, lasting):
            fading[now] += counts
        last_age[now] = 0
        return replace(
            self,
            items=items,
            baskets=baskets,
            first_age=spread(self.first_age, 0),
            last_age=last_age,
            recent=recent,
            lasting=lasting,
            visits=self.visits + 1,
            recent_visits=self.recent_visits + 1,
            last_visit_age=0.0,
            viewed=looked,
        )

    def taste(self) -> tuple[Codes, Floats]:
        """Items and how much each says of the taste: log(1 + baskets), a view VIEW of a basket.

        The fiftieth purchase of milk says little that the tenth did not.
        """
        items, strength = self.items, np.log1p(self.baskets)
        if len(items) > MOST:
            kept = np.argpartition(-self.lasting, MOST)[:MOST]
            items, strength = items[kept], strength[kept]
        if self.viewed:
            items = np.concatenate([items, np.array(self.viewed, np.int32)])
            views = np.full(len(self.viewed), np.log1p(VIEW), np.float32)
            strength = np.concatenate([strength, views])
        return items, strength


def nobody(region: int = -1) -> History:
    """A customer of whom nothing is known."""
    none = np.zeros(0, np.float32)
    return History(np.zeros(0, np.int32), none, none, none, none, none, region=region)
