"""nDCG, recall and coverage, against figures worked out by hand and against a plain oracle."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from ml.evaluate import evaluate

Pairs = dict[str, list[str]]  # customer -> items, the best first


def recommended(spark: SparkSession, lists: Pairs) -> DataFrame:
    rows = [(c, n, item) for c, items in lists.items() for n, item in enumerate(items, start=1)]
    return spark.createDataFrame(rows, "customer_id STRING, rank INT, item_id STRING")


def truth(spark: SparkSession, bought: Pairs) -> DataFrame:
    rows = [(customer, item) for customer, items in bought.items() for item in items]
    return spark.createDataFrame(rows, "customer_id STRING, item_id STRING")


def oracle(lists: Pairs, bought: Pairs, k: int) -> tuple[float, float]:
    """Mean nDCG@k and recall@k (of what k places can hold), customer by customer."""
    ndcg, recall = [], []
    for customer, items in bought.items():
        hits = [n for n, item in enumerate(lists.get(customer, [])[:k], 1) if item in items]
        best = range(1, min(k, len(items)) + 1)
        ndcg.append(
            sum(1 / math.log2(n + 1) for n in hits) / sum(1 / math.log2(n + 1) for n in best)
        )
        recall.append(len(hits) / len(best))
    return sum(ndcg) / len(ndcg), sum(recall) / len(recall)


def test_figures_are_those_worked_out_by_hand(spark: SparkSession) -> None:
    lists = {"c1": ["a", "x", "b"], "c2": ["y", "c"], "stranger": ["z"]}
    bought = {"c1": ["a", "b", "d"], "c2": ["c"], "c3": ["a"]}
    found = evaluate(recommended(spark, lists), truth(spark, bought), catalogue_size=12, k=3)
    first = (1 + 1 / 2) / (1 + 1 / math.log2(3) + 1 / 2)  # hits at 1 and 3 of three
    second = 1 / math.log2(3)  # a hit at 2 of one
    assert found.ndcg == pytest.approx((first + second + 0) / 3)
    assert found.recall == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert found.coverage == pytest.approx(6 / 12)


def test_a_perfect_list_scores_one_even_if_more_was_bought_than_fits(spark: SparkSession) -> None:
    bought = {"c1": ["a", "b", "c"], "c2": ["d"]}
    found = evaluate(recommended(spark, bought), truth(spark, bought), catalogue_size=4, k=2)
    assert (found.ndcg, found.recall) == pytest.approx((1, 1))
    assert found.coverage == pytest.approx(3 / 4)  # c is beyond the second place


def test_nothing_offered_scores_nothing(spark: SparkSession) -> None:
    found = evaluate(recommended(spark, {}), truth(spark, {"c1": ["a"]}), catalogue_size=1)
    assert (found.ndcg, found.recall, found.coverage) == (0, 0, 0)


def test_nobody_to_ask_scores_nothing(spark: SparkSession) -> None:
    found = evaluate(recommended(spark, {"c1": ["a"]}), truth(spark, {}), catalogue_size=0)
    assert (found.ndcg, found.recall) == (0, 0)


ITEMS = st.lists(st.sampled_from("abcdef"), max_size=6, unique=True)


@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(customers=st.lists(st.tuples(ITEMS, ITEMS), min_size=30, max_size=60), k=st.integers(1, 5))
def test_figures_agree_with_a_plain_oracle(spark: SparkSession, customers, k: int) -> None:
    lists = {f"c{n}": offered for n, (offered, _) in enumerate(customers)}
    bought = {f"c{n}": items for n, (_, items) in enumerate(customers) if items}
    bought["last"] = ["a"]  # at least one customer bought something
    found = evaluate(recommended(spark, lists), truth(spark, bought), catalogue_size=6, k=k)
    assert (found.ndcg, found.recall) == pytest.approx(oracle(lists, bought, k))
