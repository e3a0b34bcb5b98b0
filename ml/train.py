"""Fit the recommender: implicit alternating least squares of Spark ML."""

from dataclasses import dataclass, replace

from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.features import frequent, indexed
from pipelines.errors import ModelError
from pipelines.settings import ModelSettings


@dataclass(frozen=True)
class Recommender:
    """A fitted model and the numbers that it knows customers and items by.

    Attributes:
        model: Spark's ALS model over `customer_index` and `item_index`.
        customers: customer_id, customer_index.
        items: item_id, item_index.
        known: customer_id, item_id of all that it was trained on, so that nobody is offered
            what they have.
    """

    model: ALSModel
    customers: DataFrame
    items: DataFrame
    known: DataFrame

    def knowing(self, known: DataFrame) -> "Recommender":
        """The same model, with what customers have by now."""
        return replace(self, known=known)


def train(rows: DataFrame, settings: ModelSettings) -> Recommender:
    """Fit on interactions (customer_id, item_id, strength).

    The confidence of an observation is 1 + alpha * strength, after Hu, Koren and Volinsky,
    "Collaborative Filtering for Implicit Feedback Datasets" (2008); strength is taken as a
    logarithm, since the fiftieth purchase of milk says little that the tenth did not.

    Raises:
        ModelError: too few interactions to learn from.
    """
    learned = frequent(rows, settings.min_item_purchases).persist()
    found = learned.count()
    if found < settings.min_interactions:
        raise ModelError(
            f"{found} interactions are too few to train on, {settings.min_interactions} are needed;"
            " ingest more purchases or lower model.min_interactions"
        )
    customers = indexed(learned, "customer_id", "customer_index").persist()
    items = indexed(learned, "item_id", "item_index").persist()
    numbered = (
        learned.join(F.broadcast(customers), "customer_id", "inner")
        .join(F.broadcast(items), "item_id", "inner")
        .select("customer_index", "item_index", F.log1p("strength").alias("strength"))
    )
    als = ALS(
        rank=settings.rank,
        maxIter=settings.iterations,
        regParam=settings.regularization,
        alpha=settings.alpha,
        implicitPrefs=True,
        userCol="customer_index",
        itemCol="item_index",
        ratingCol="strength",
        seed=settings.seed,
        coldStartStrategy="drop",
    )
    model = als.fit(numbered)
    known = rows.select("customer_id", "item_id")
    learned.unpersist()
    return Recommender(model, customers, items, known)
