"""Figures of ranked lists in plain numpy, and the difference of two that noise would not make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.promote import Lift, paired_lift

Floats = NDArray[np.float64]
Lists = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Figures:
    """Per customer who bought something, in the order of `customers`; and over all lists.

    Attributes:
        ndcg, recall: (customers,) at k; recall of what k places can hold.
        coverage: share of the items sold that stood in any list.
        popular_share: share of all places held by the hundred most bought items.
        diversity: mean share of different categories among the items of a list.
    """

    ndcg: Floats
    recall: Floats
    coverage: float
    popular_share: float
    diversity: float

    def over(self, other: "Figures") -> Lift:
        """By how much the nDCG is better, resampling customers."""
        return paired_lift(self.ndcg, other.ndcg)


def figures(
    lists: Lists,
    truth: Mapping[str, set[str]],
    category: Mapping[str, str],
    popular: Sequence[str],
    k: int = 10,
) -> Figures:
    """nDCG with binary gains and recall, customer by customer; nobody listed scores 0."""
    gain = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(gain)
    ndcg, recall = np.zeros(len(truth)), np.zeros(len(truth))
    for row, (customer, wanted) in enumerate(sorted(truth.items())):
        hits = np.array([item in wanted for item in lists.get(customer, ())[:k]], dtype=float)
        places = min(len(wanted), k)
        ndcg[row] = (hits * gain[: len(hits)]).sum() / ideal[places - 1]
        recall[row] = hits.sum() / places
    shown = [list(lists[customer][:k]) for customer in truth if lists.get(customer)]
    places_held = [item for one in shown for item in one]
    best = set(popular[:100])
    return Figures(
        ndcg,
        recall,
        coverage=len(set(places_held)) / max(1, len(category)),
        popular_share=float(np.mean([item in best for item in places_held])),
        diversity=float(np.mean([len({category[i] for i in one}) / len(one) for one in shown])),
    )
