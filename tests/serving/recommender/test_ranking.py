"""What is recommended, to whom, under which conditions and why."""

from dataclasses import replace

import numpy as np
import pytest
from given_model import a_customer, some_model
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.recommender.candidates import folded_in, taste_of
from serving.recommender.features import FEATURES, Question, features
from serving.recommender.history import History, nobody
from serving.recommender.ranking import Why, Wish, recommend, score, told

MODEL = some_model()
NAMES = [feature.name for feature in FEATURES]


def picked(history: History, **wish: object) -> list[int]:
    return [pick.item for pick in recommend(MODEL, history, Wish(**wish))]  # type: ignore[arg-type]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 500), bought=st.integers(0, 40), k=st.integers(1, 50))
def test_lists_are_short_enough_without_repetition_the_best_first(
    seed: int, bought: int, k: int
) -> None:
    picks = recommend(MODEL, a_customer(seed, bought=bought), Wish(k=k))
    assert 0 < len(picks) <= k
    assert len({pick.item for pick in picks}) == len(picks)
    assert [pick.score for pick in picks] == sorted((pick.score for pick in picks), reverse=True)
    assert all(0 < pick.score < 1 for pick in picks)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 500), bought=st.integers(1, 40))
def test_what_was_bought_can_be_left_out(seed: int, bought: int) -> None:
    history = a_customer(seed, bought=bought)
    assert not set(picked(history, k=40, bought=False)) & set(history.items.tolist())


@pytest.mark.parametrize("category", range(4))
def test_one_category_alone(category: int) -> None:
    found = picked(a_customer(), k=40, category=category)
    assert len(found) == 10 and all(MODEL.category[item] == category for item in found)


def test_no_more_of_a_category_than_wanted_and_the_order_stays() -> None:
    everything = picked(a_customer(), k=40)
    capped = picked(a_customer(), k=8, per_category=2)
    assert np.bincount(MODEL.category[capped], minlength=4).tolist() == [2, 2, 2, 2]
    assert capped == [item for item in everything if item in capped]


def test_what_the_shop_does_not_offer_is_passed_over() -> None:
    asked: list[int] = []

    def even(items: np.ndarray) -> np.ndarray:
        asked.extend(items.tolist())
        return items % 2 == 0

    found = picked(a_customer(), k=15, offered=even)
    assert len(found) == 15 and all(item % 2 == 0 for item in found)
    assert asked == picked(a_customer(), k=40)[: len(asked)]


def test_nothing_is_offered_where_nothing_passes() -> None:
    assert picked(a_customer(), offered=lambda items: np.zeros(len(items), np.bool_)) == []


def test_a_stranger_gets_what_is_popular_in_the_region() -> None:
    picks = recommend(MODEL, nobody(region=1), Wish(k=5))
    assert len(picks) == 5
    assert {pick.why for pick in picks} <= {Why.REGION, Why.POPULAR, Why.NEW}
    assert recommend(MODEL, nobody(region=-1), Wish(k=5))


def test_a_model_without_customers_items_or_trees_answers_all_the_same() -> None:
    none = np.zeros((0, 8))
    bare = replace(
        MODEL,
        neighbours=none.astype(np.int32),
        weights=none.astype(np.float32),
        factors=np.zeros((0, 0), np.float32),
        splits=np.zeros((0, 1), np.int32),
        thresholds=np.zeros((0, 1), np.float32),
        leaves=np.zeros((0, 2), np.float32),
    )
    assert recommend(bare, a_customer(), Wish(k=3))
    assert recommend(bare, nobody(), Wish(k=3))


def test_every_item_has_a_reason_that_holds() -> None:
    history = a_customer(bought=12)
    for pick in recommend(MODEL, history, Wish(k=40)):
        held = pick.item in history.items
        assert held == (pick.why is Why.AGAIN)
        if pick.why is Why.LIKE:
            assert pick.because in history.items
            assert pick.because in MODEL.neighbours[pick.item]
            assert told(MODEL, pick) == f"i{pick.because}"
        if pick.why is Why.AGAIN:
            place = history.items.tolist().index(pick.item)
            expected = 20 if history.baskets[place] > 1 else 0
            assert pick.because == expected
            assert told(MODEL, pick) == ("20" if expected else None)


def test_a_session_changes_the_answer_without_training() -> None:
    """An item speaks for its first neighbour as soon as it was bought or looked at."""
    by_linear = replace(
        MODEL,
        splits=np.full((1, 1), NAMES.index("linear_rank"), np.int32),
        thresholds=np.array([[0.5]], np.float32),  # the first rank is log(1)
        leaves=np.array([[1, -1]], np.float32),
        weights=np.tile(np.array([0.9, 0, 0, 0, 0, 0, 0, 0], np.float32), (30, 1)),
        blend=np.array([1, 0, 0], np.float32),
    )
    wish = Wish(k=1, bought=False)
    before = recommend(by_linear, nobody(), wish)[0]
    for session in (nobody().with_session([7], []), nobody().with_session([], [7])):
        best = recommend(by_linear, session, wish)[0]
        assert best.item == by_linear.neighbours[7][0] != before.item
        assert best.score > before.score or before.item < best.item


def test_buying_in_a_session_is_as_if_it_stood_in_the_history() -> None:
    history = a_customer(bought=5)
    new = next(n for n in range(40) if n not in history.items)
    old = int(history.items[2])
    after = history.with_session([new, old, new], [])
    assert after.items.tolist() == sorted([*history.items.tolist(), new])
    at_new, at_old = (after.items.tolist().index(one) for one in (new, old))
    assert (after.baskets[at_new], after.last_age[at_new], after.first_age[at_new]) == (2, 0, 0)
    assert after.baskets[at_old] == history.baskets[2] + 1
    assert (after.last_age[at_old], after.first_age[at_old]) == (0, history.first_age[2])
    assert (after.visits, after.last_visit_age) == (history.visits + 1, 0)
    assert history.baskets[2] == a_customer(bought=5).baskets[2], "the history itself is as it was"


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 500), bought=st.integers(0, 30))
def test_the_blend_exchanges_new_items_among_the_places_of_new_items(
    seed: int, bought: int
) -> None:
    history = a_customer(seed, bought=bought)
    alone = replace(MODEL, blend=np.array([1, 0, 0], np.float32))
    before, after = (recommend(model, history, Wish(k=40)) for model in (alone, MODEL))
    assert [pick.score for pick in before] == [pick.score for pick in after]
    had = set(history.items.tolist())
    assert {p.item: p.score for p in before if p.item in had} == {
        p.item: p.score for p in after if p.item in had
    }
    taste = taste_of(MODEL, history)
    items = np.sort(np.array([p.item for p in after], np.int32))
    question = Question(MODEL, history, taste, items)
    liking = dict(zip(items.tolist(), score(question)[1].tolist(), strict=True))
    new = [liking[p.item] for p in after if p.item not in had]
    assert new == sorted(new, reverse=True)


def test_without_the_ranker_the_order_of_what_is_new_is_the_item_model_s() -> None:
    history = a_customer(3)
    model = replace(MODEL, blend=np.array([0, 1, 0], np.float32))
    new = [p.item for p in recommend(model, history, Wish(k=40)) if p.item not in history.items]
    linear = taste_of(model, history).linear
    learned = [item for item in new if item < model.learned]
    assert learned == sorted(learned, key=lambda item: -linear[item])
    lowest = min(range(len(learned)), key=lambda place: linear[learned[place]])
    assert set(new[lowest:]) >= {item for item in new if item >= model.learned}


def test_folding_in_solves_the_equation_of_als() -> None:
    items, strength = np.array([1, 4, 9], np.int32), np.array([0.7, 1.1, 2.0], np.float32)
    found = folded_in(MODEL, items, strength)
    y, confidence = MODEL.factors.astype(float), np.zeros(30)
    confidence[items] = strength
    normal = y.T @ y + (y.T * confidence) @ y + 0.05 * 3 * np.eye(4)
    wanted = y.T @ ((1 + confidence) * (confidence > 0))
    assert np.allclose(normal @ found, wanted, atol=1e-3)


def test_features_are_what_they_say() -> None:
    history = a_customer(bought=6)
    taste = taste_of(MODEL, history)
    items = np.arange(40, dtype=np.int32)
    table = features(Question(MODEL, history, taste, items))
    column = {feature.name: table[:, n] for n, feature in enumerate(FEATURES)}
    assert table.shape == (40, len(FEATURES)) and np.isfinite(table).all()
    held = history.items
    assert np.allclose(np.expm1(column["baskets"])[held], history.baskets, atol=1e-4)
    assert column["baskets"].astype(bool).sum() == 6
    assert np.allclose(column["share_of_visits"][held], history.baskets / 9)
    many = held[history.baskets > 1]
    assert np.allclose(column["interval"][many], 20)
    once = np.setdiff1d(items, many)
    assert (column["interval"][once] == 400).all() and (column["due"][once] == -1).all()
    dense = np.zeros(30)
    for item, baskets in zip(held, history.baskets, strict=True):
        if item < 30:
            for near, weight in zip(MODEL.neighbours[item], MODEL.weights[item], strict=True):
                dense[near] += np.log1p(baskets) * weight
    assert np.allclose(taste.linear, dense, atol=1e-5)
    fresh = np.setdiff1d(np.arange(30), held)
    higher = [(dense[fresh] > dense[item] + 1e-6).sum() for item in range(30)]
    assert np.allclose(column["linear_rank"][:30], np.log1p(higher), atol=1e-5)
    assert (column["linear_rank"][30:] == np.float32(np.log1p(len(fresh)))).all()
    assert column["category_share"].sum() == pytest.approx(10)  # ten items of each category
    assert (column["visits"] == np.float32(np.log1p(9))).all()
