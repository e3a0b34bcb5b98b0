"""The recommender learns tastes and habits, the same in Spark and on plain arrays."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from pyspark.ml.linalg import Vectors
from pyspark.sql import DataFrame, SparkSession
from small import SMALL

from ml.batches import histories_of
from ml.features import bought_between
from ml.ranker import askers, examples, ranker_arrays
from ml.recommend import recommend_all
from ml.train import Trained, train
from pipelines.errors import ModelError
from pipelines.settings import load_settings
from serving.recommender.features import FEATURES
from serving.recommender.ranking import Wish, recommend
from serving.recommender.trees import margins, probabilities

SETTINGS = load_settings(
    overrides={
        **SMALL,
        "model.trees": 6,
        "model.depth": 3,
        "model.ridge": 1.0,
        "model.test_weeks": 1,
    }
).model
END = datetime(2017, 12, 31)
TASTES = {"tea": [f"tea{n}" for n in range(8)], "tools": [f"tool{n}" for n in range(8)]}
SCHEMA = (
    "customer_id STRING, basket_id STRING, item_id STRING, occurred_at TIMESTAMP, region STRING,"
    " category STRING, amount_cents BIGINT, quantity BIGINT"
)


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Two groups of customers; each buys one item every week and others of the taste at times."""
    chance = np.random.default_rng(7)
    bought = []
    for taste, items in TASTES.items():
        for customer in range(12):
            for week in range(20):
                others = chance.choice(8, 2, replace=False).tolist()
                for item in {customer % 8, *others}:
                    at = END - timedelta(weeks=week, hours=1 + customer)
                    bought.append(
                        (
                            f"{taste}{customer}",
                            f"{taste}{customer}-{week}",
                            items[item],
                            at,
                            "north",
                            taste,
                            100,
                            1,
                        )
                    )
    return spark.createDataFrame(bought, SCHEMA).persist()


@pytest.fixture(scope="module")
def trained(rows: DataFrame) -> Trained:
    return train(rows, END, SETTINGS)


def test_too_few_interactions_are_refused_with_what_to_do(rows: DataFrame) -> None:
    with pytest.raises(ModelError, match=r"interactions are too few .* 10 are needed; ingest more"):
        train(rows.where("customer_id = 'tea0' AND item_id = 'tea0'"), END, SETTINGS)


def test_a_period_in_which_nothing_was_bought_cannot_teach(rows: DataFrame) -> None:
    with pytest.raises(ModelError, match="the ranker needs examples of both kinds"):
        train(rows, END + timedelta(weeks=30), SETTINGS)


def test_customers_are_offered_what_they_buy_and_what_their_kind_buys(trained: Trained) -> None:
    served = trained.served
    offered = recommend_all(served.model, served.known.histories, Wish(k=3)).collect()
    assert {row["customer_id"] for row in offered} == {f"{t}{n}" for t in TASTES for n in range(12)}
    for row in offered:
        taste = row["customer_id"].rstrip("0123456789")
        assert row["item_id"] in TASTES[taste]
    best = {(row["customer_id"], row["item_id"]) for row in offered if row["rank"] <= 2}
    weekly = sum((f"{t}{n}", TASTES[t][n % 8]) in best for t in TASTES for n in range(12))
    assert weekly >= 20, best


def test_the_backtest_stops_before_the_held_out_weeks(trained: Trained, rows: DataFrame) -> None:
    assert trained.start == END - timedelta(weeks=1)
    again = train(rows.where(rows.occurred_at < trained.start), trained.start, SETTINGS).served
    mine, other = trained.backtest.model, again.model
    for name in ("item_ids", "statistics", "neighbours", "weights", "splits", "leaves", "blend"):
        assert np.array_equal(getattr(mine, name), getattr(other, name)), name


def test_in_spark_and_on_arrays_the_trees_say_the_same(trained: Trained, rows: DataFrame) -> None:
    """Training, batch and the API use one declaration of the features, and here is the proof."""
    served = trained.served
    wanted = bought_between(rows, END - timedelta(weeks=1), END)
    asking = askers(served.known, wanted)
    table = examples(asking, served.model, SETTINGS).drop("label").toArrow()
    features = np.column_stack([table[feature.name].to_numpy() for feature in FEATURES])
    arrays = ranker_arrays(served.ranker, 1.0)
    ours = probabilities(
        margins(arrays["splits"], arrays["thresholds"], arrays["leaves"], features)
    )
    for row, chance in list(zip(features, ours, strict=True))[:60]:
        theirs = served.ranker.predictProbability(Vectors.dense(row.astype(float)))[1]
        assert chance == pytest.approx(theirs, abs=1e-5)


def test_batch_and_api_give_the_same_list(trained: Trained) -> None:
    served = trained.served
    by_batch: dict[str, list[str]] = {}
    for row in recommend_all(served.model, served.known.histories, Wish(k=5)).collect():
        by_batch.setdefault(row["customer_id"], []).append(row["item_id"])
    for batch in served.known.histories.toArrow().combine_chunks().to_batches():
        for customer, history in histories_of(served.model, batch):
            picks = recommend(served.model, history, Wish(k=5))
            assert [str(served.model.item_ids[p.item]) for p in picks] == by_batch[customer]
