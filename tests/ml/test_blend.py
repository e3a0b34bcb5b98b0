"""How much the item models count beside the ranker is chosen by what customers bought."""

from dataclasses import replace

import numpy as np
import pytest
from given_model import a_customer, some_model

from benchmarks.recommend_quality import figures
from ml.blend import BLENDS, ndcg_of_blends
from serving.recommender.candidates import candidates, taste_of
from serving.recommender.features import Question
from serving.recommender.history import History
from serving.recommender.ranking import Wish, recommend

MODEL = some_model()


def asked(history: History, wanted: list[int]) -> np.ndarray | None:
    taste = taste_of(MODEL, history)
    question = Question(MODEL, history, taste, candidates(MODEL, history, taste))
    return ndcg_of_blends(question, np.array(wanted, np.int32))


@pytest.mark.parametrize("seed", range(4))
def test_the_figures_are_those_of_the_lists_that_each_blend_gives(seed: int) -> None:
    history = a_customer(seed)
    wanted = [*range(0, 40, 3), -1]
    found = asked(history, wanted)
    assert found is not None and len(found) == len(BLENDS)
    truth = {str(item) for item in wanted if item not in history.items}
    for blend, ndcg in zip(BLENDS, found, strict=True):
        picks = recommend(replace(MODEL, blend=blend), history, Wish(k=40))
        new = [str(p.item) for p in picks if p.item not in history.items]
        by_hand = figures({"c": new}, {"c": truth}, dict.fromkeys(map(str, range(40)), ""), ())
        assert ndcg == pytest.approx(by_hand.ndcg[0])


def test_what_was_bought_before_asks_for_nothing_new() -> None:
    history = a_customer()
    assert asked(history, history.items.tolist()) is None
    assert asked(history, [-1]).max() == 0  # type: ignore[union-attr]


def test_the_first_blend_is_the_ranker_alone_and_others_are_without_it() -> None:
    assert BLENDS[0].tolist() == [1, 0, 0]
    assert {(0, 1, 0), (0, 0, 1)} <= set(map(tuple, BLENDS.tolist()))
    assert len(np.unique(BLENDS, axis=0)) == len(BLENDS)
