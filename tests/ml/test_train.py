"""The recommender learns tastes, the same at every run, and refuses to learn from too little."""

import pytest
from pyspark.sql import DataFrame, SparkSession

from ml.recommend import recommend
from ml.train import train
from pipelines.errors import ModelError
from pipelines.settings import ModelSettings, load_settings

SETTINGS: ModelSettings = load_settings(
    overrides={
        "model.rank": 4,
        "model.iterations": 4,
        "model.min_item_purchases": 1,
        "model.min_interactions": 10,
    }
).model

TASTES = {"tea": [f"tea{n}" for n in range(6)], "tools": [f"tool{n}" for n in range(6)]}


def tastes(spark: SparkSession) -> DataFrame:
    """Two groups of customers; each lacks one item, another one, of the group's taste."""
    rows = [
        (f"{taste}-{n}", item, 3.0)
        for taste, items in TASTES.items()
        for n in range(6)
        for place, item in enumerate(items)
        if place != n
    ]
    return spark.createDataFrame(rows, "customer_id STRING, item_id STRING, strength DOUBLE")


def test_too_few_interactions_are_refused_with_what_to_do(spark: SparkSession) -> None:
    given = tastes(spark).limit(9)
    with pytest.raises(ModelError, match=r"9 interactions .* 10 are needed; ingest more"):
        train(given, SETTINGS)


def test_rare_items_do_not_count_as_something_to_learn_from(spark: SparkSession) -> None:
    few = SETTINGS.model_copy(update={"min_item_purchases": 1000})
    with pytest.raises(ModelError, match=r"^0 interactions"):
        train(tastes(spark), few)


def test_customers_are_offered_what_their_own_kind_buys(spark: SparkSession) -> None:
    recommender = train(tastes(spark), SETTINGS)
    assert recommender.items.count() == 12 and recommender.customers.count() == 12
    offered = {
        row["customer_id"]: row["item_id"]
        for row in recommend(recommender, 1).where("rank = 1").collect()
    }
    assert offered == {
        f"{taste}-{n}": items[n] for taste, items in TASTES.items() for n in range(6)
    }
