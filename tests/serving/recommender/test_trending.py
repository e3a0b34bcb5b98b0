"""What rises comes first, and of what rises alike, what fits the customer."""

from dataclasses import replace

import numpy as np
from given_model import a_customer, some_model

from serving.recommender.history import nobody
from serving.recommender.model import STATISTICS
from serving.recommender.ranking import Wish
from serving.recommender.trending import trending

MONTH, TWO_MONTHS = STATISTICS.index("month"), STATISTICS.index("two_months")


def shares(month: float, two_months: float) -> np.ndarray:
    table = some_model().statistics.copy()
    table[:, MONTH], table[:, TWO_MONTHS] = month, two_months
    return table


def test_what_rises_most_comes_first_and_what_hardly_sells_never() -> None:
    table = shares(0.1, 0.1)
    table[31, MONTH], table[32, MONTH] = 0.4, 0.2
    table[33, [MONTH, TWO_MONTHS]] = 0.004, 0.0001  # a few purchases of something new
    model = replace(some_model(), statistics=table)
    found = trending(model, nobody(), Wish(k=40))
    assert [item for item, _ in found[:2]] == [31, 32]
    assert found[0][1] == np.float32(np.log((0.4 + 1e-4) / (0.1 + 1e-4)))
    assert 33 not in {item for item, _ in found}


def test_of_what_rises_alike_the_customers_own_categories_come_first() -> None:
    model = replace(some_model(), statistics=shares(0.2, 0.1))
    history = a_customer(bought=1)
    own = int(model.category[history.items[0]])
    weights = np.zeros_like(model.weights)
    ranked = trending(replace(model, weights=weights), history, Wish())
    assert {int(model.category[item]) for item, _ in ranked} == {own}
