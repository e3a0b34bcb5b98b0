"""The weights of search: recovered from choices that follow them, judged as by hand."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from given_search import WEIGHTS, material, small_index

from ml.search_fit import Wish, fit, judge, mean_rank, only, wishes
from ml.search_learn import opened, with_rows
from serving.search import SearchIndex
from serving.search_ranking import FEATURES, NOBODY
from serving.search_text import Filters

TRUE = np.array([2.0, 1.0, 1.5, 0.8, 0.0, 0.5])


def choices(count: int) -> list[Wish]:
    """Choices among 12 hits that follow a conditional logit with the weights TRUE."""
    rng = np.random.default_rng(17)
    made = []
    for _ in range(count):
        hits = rng.normal(size=(12, len(FEATURES)))
        noise = rng.gumbel(size=12)
        made.append(Wish(hits, np.arange(12), int(np.argmax(hits @ TRUE + noise))))
    return made


def test_weights_are_recovered_from_choices_that_follow_them() -> None:
    assert fit(choices(3000), only(*FEATURES)) == pytest.approx(TRUE, abs=0.15)


def test_only_the_features_asked_for_count() -> None:
    found = fit(choices(300), only("text", "popularity"))
    assert (found[:2] > 0.3).all() and (found[2:] == 0).all()


def test_choices_that_one_feature_explains_wholly_have_finite_weights() -> None:
    hits = np.zeros((3, len(FEATURES)))
    hits[0, 2] = 1.0
    found = fit([Wish(hits, np.arange(3), 0)] * 50, only(*FEATURES))
    assert np.isfinite(found).all() and found[2] > 1


def test_the_bought_item_is_ranked_by_text_by_popularity_and_by_taste() -> None:
    made = material()
    asked = pa.table(
        {
            "customer_id": ["choc", "stranger", "choc", "choc"],
            "item_id": ["c2", "c2", "a1", "gone"],
            "text": ["chocolate bar", "chocolate bar", "chocolate", "bar"],
        }
    )
    with opened(made, "english") as (index, item_place):
        popular = WEIGHTS * only("text", "popularity")
        judged = judge(index, with_rows(asked, made), item_place, WEIGHTS, popular)
    # c1 and c2 have equal words; c1 is the more popular and the first by item_id.
    assert judged.tolist() == [[0.5, 0.5, 1.0], [0.5, 0.5, 0.5], [0.0] * 3, [0.0] * 3]
    rank = mean_rank(judged)
    assert (rank.text, rank.popular, rank.personal, rank.queries) == (0.25, 0.25, 0.375, 4)


def test_nothing_judged_is_worth_nothing() -> None:
    assert mean_rank(np.zeros((0, 3))).personal == 0.0


def test_a_wish_is_what_the_api_would_find(tmp_path: Path) -> None:
    index = small_index(tmp_path / "index")
    rows = {index.text.item(address)["item_id"]: row for row, address in _everything(index)}
    asked = pa.table({"customer_id": ["own"], "text": ["milk"], "row": [rows["m3"]]})
    (wish,) = wishes(index, asked)
    assert wish is not None and wish.rows[wish.bought] == rows["m3"]
    assert wish.hits[wish.bought, FEATURES.index("own")] == pytest.approx(np.log(2))


def _everything(index: SearchIndex) -> Iterator[tuple[int, Any]]:
    matches = index.ranked((), NOBODY, Filters()).matches
    return zip(matches.rows.tolist(), matches.addresses, strict=True)
