"""Ranked items per customer without what they have, and similar items as brute force finds them."""

import numpy as np
import pytest
from expect import assert_rows
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyspark.sql import SparkSession

from ml.recommend import popular, recommend, similar_items, top_ranked
from ml.train import Recommender, train
from pipelines.settings import load_settings

SCORED = "customer_id STRING, item_id STRING, score DOUBLE"
BOUGHT = "customer_id STRING, item_id STRING, strength DOUBLE"
SETTINGS = load_settings(
    overrides={
        "model.rank": 3,
        "model.iterations": 1,
        "model.min_item_purchases": 1,
        "model.min_interactions": 1,
    }
).model


def test_the_best_come_first_and_ties_go_to_the_lower_item_id(spark: SparkSession) -> None:
    scored = spark.createDataFrame(
        [
            ("c1", "b", 1.0),
            ("c1", "z", 3.0),
            ("c1", "a", 1.0),
            ("c1", "low", 0.5),
            ("c2", "b", 0.1),
        ],
        SCORED,
    )
    assert_rows(
        top_ranked(scored, 3),
        [
            {"customer_id": "c1", "rank": 1, "item_id": "z"},
            {"customer_id": "c1", "rank": 2, "item_id": "a"},
            {"customer_id": "c1", "rank": 3, "item_id": "b"},
            {"customer_id": "c2", "rank": 1, "item_id": "b"},
        ],
    )


def test_popular_counts_customers_not_purchases(spark: SparkSession) -> None:
    bought = spark.createDataFrame(
        [("c1", "a", 99.0), ("c1", "c", 1.0), ("c2", "c", 1.0), ("c2", "b", 1.0), ("c3", "d", 1.0)],
        BOUGHT,
    )
    assert_rows(
        popular(bought, 3),
        [
            {"rank": 1, "item_id": "c", "customers": 2},
            {"rank": 2, "item_id": "a", "customers": 1},
            {"rank": 3, "item_id": "b", "customers": 1},
        ],
    )


@pytest.fixture(scope="module")
def recommender(spark: SparkSession) -> Recommender:
    rows = [
        (f"c{customer}", f"i{item:02}", 1.0 + (customer * item) % 3)
        for customer in range(8)
        for item in range(12)
        if (customer + item) % 3
    ]
    return train(spark.createDataFrame(rows, BOUGHT), SETTINGS)


def test_nobody_is_offered_what_they_have(recommender: Recommender) -> None:
    offered = recommend(recommender, 12).collect()
    had = {tuple(row) for row in recommender.known.collect()}
    pairs = {(row["customer_id"], row["item_id"]) for row in offered}
    everything = {(f"c{customer}", f"i{item:02}") for customer in range(8) for item in range(12)}
    assert pairs == everything - had
    assert len(offered) == len(pairs)


def test_what_was_bought_since_the_training_is_not_offered(
    spark: SparkSession, recommender: Recommender
) -> None:
    best = recommend(recommender, 1)
    since = best.select("customer_id", "item_id").localCheckpoint()
    wiser = recommender.knowing(recommender.known.union(since))
    again = recommend(wiser, 12).join(since, ["customer_id", "item_id"], "inner")
    assert again.isEmpty()


def test_ranks_run_from_one_without_gaps_as_scores_fall(recommender: Recommender) -> None:
    lists: dict[str, list[tuple[int, float]]] = {}
    for row in recommend(recommender, 3).collect():
        lists.setdefault(row["customer_id"], []).append((row["rank"], row["score"]))
    assert len(lists) == 8
    for ranked in lists.values():
        ranks, scores = zip(*sorted(ranked), strict=True)
        assert ranks == tuple(range(1, len(ranks) + 1)) and len(ranks) <= 3
        assert list(scores) == sorted(scores, reverse=True)


def brute_force(factors: np.ndarray, top_k: int) -> np.ndarray:
    """The similarities of the nearest `top_k` others of each row, the nearest first."""
    lengths = np.linalg.norm(factors.astype(float), axis=1)
    found = []
    for row, one in enumerate(factors.astype(float)):
        others = [
            float(one @ other / max(lengths[row] * lengths[place], 1e-300))
            for place, other in enumerate(factors.astype(float))
            if place != row
        ]
        found.append(sorted(others, reverse=True)[:top_k])
    return np.array(found)


WHOLE = hnp.arrays(  # whole numbers, so that many items tie
    np.float32,
    st.tuples(st.integers(2, 12), st.integers(1, 3)),
    elements=st.integers(-2, 2).map(float),
)


@given(factors=WHOLE, top_k=st.integers(1, 15), block=st.integers(1, 13))
def test_similar_items_are_those_of_brute_force(
    factors: np.ndarray, top_k: int, block: int
) -> None:
    neighbours, similarity = similar_items(factors, top_k, block)
    assert neighbours.shape == similarity.shape == (len(factors), min(top_k, len(factors) - 1))
    assert np.allclose(similarity, brute_force(factors, top_k), atol=1e-5)
    lengths = np.maximum(np.linalg.norm(factors, axis=1), np.finfo(np.float32).tiny)
    for row, nearest in enumerate(neighbours):
        assert row not in nearest and len(set(nearest)) == len(nearest)
        cosines = factors[nearest] @ factors[row] / lengths[row] / lengths[nearest]
        assert np.allclose(cosines, similarity[row], atol=1e-5)


def test_an_only_item_has_no_neighbours() -> None:
    neighbours, similarity = similar_items(np.ones((1, 3), dtype=np.float32), 5)
    assert neighbours.shape == similarity.shape == (1, 0)
