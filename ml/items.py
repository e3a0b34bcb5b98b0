"""What a model knows of items at a moment: statistics, neighbours and factors, without a ranker."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from pyspark.ml.recommendation import ALS
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.features import histories, item_statistics, pairs, region_shares, visits
from ml.linear import linear_model
from pipelines.errors import ModelError
from pipelines.settings_sections import ModelSettings
from serving.recommender.features import FEATURES
from serving.recommender.model import STATISTICS, Codes, Floats, Model

NEW_DAYS = 28.0
_KEPT = 500  # popular items and newcomers


@dataclass(frozen=True)
class Known:
    """A model of items and the customers' histories at the same moment.

    Attributes:
        histories: one row per customer; see `ml.features.histories`.
        numbers: item_id, item (its number in the model).
    """

    model: Model
    histories: DataFrame
    numbers: DataFrame


def know(seen: DataFrame, moment: datetime, settings: ModelSettings) -> Known:
    """Fit the item models on `ml.features.lines` of before `moment`.

    Raises:
        ModelError: too few purchases to learn from.
    """
    bought = pairs(seen, moment).persist()
    found = bought.count()
    if found < settings.min_interactions:
        raise ModelError(
            f"{found} interactions are too few to train on, {settings.min_interactions} are needed;"
            " ingest more purchases or lower model.min_interactions"
        )
    items: pa.Table = item_statistics(bought, seen).orderBy("item").toArrow()
    buyers = items["buyers"].to_numpy()
    learned = min(settings.learned_items, int((buyers >= settings.min_item_customers).sum()))
    spark = seen.sparkSession
    numbers = spark.createDataFrame(items.select(["item_id", "item"])).persist()
    customers = histories(bought, visits(seen, moment), numbers).persist()
    neighbours, weights = _linear(customers, learned, settings)
    factors = _als(bought, numbers, learned, settings)
    shares: pa.Table = (
        region_shares(seen, moment).join(F.broadcast(numbers), "item_id", "inner").toArrow()
    )
    bought.unpersist()
    model = _model(items, shares, neighbours, weights, factors, settings)
    return Known(model, customers, numbers)


def _linear(customers: DataFrame, learned: int, settings: ModelSettings) -> tuple[Codes, Floats]:
    """The linear model over the learned items, from at most `linear_customers` customers."""
    some = customers.select("item", "baskets").limit(settings.linear_customers).toArrow()
    item, baskets = some["item"].combine_chunks(), some["baskets"].combine_chunks()
    ends = np.concatenate([[0], np.cumsum(item.value_lengths().to_numpy())])
    strength = np.log1p(baskets.flatten().to_numpy())
    codes = item.flatten().to_numpy()
    size = int(codes.max(initial=0)) + 1
    taste = sp.csr_matrix((strength, codes, ends), (len(some), size))[:, :learned]
    return linear_model(taste, settings.ridge, settings.neighbours)


def _als(bought: DataFrame, numbers: DataFrame, learned: int, settings: ModelSettings) -> Floats:
    """Item factors of Spark's implicit ALS: (learned, rank).

    The confidence of an observation is 1 + alpha * log(1 + baskets), after Hu, Koren and Volinsky,
    "Collaborative Filtering for Implicit Feedback Datasets" (2008).
    """
    rows = bought.join(
        F.broadcast(numbers.where(F.col("item") < learned)), "item_id", "inner"
    ).select(
        F.hash("customer_id").alias("customer"),  # of a million, a hundred share a number
        "item",
        F.log1p("baskets").cast("float").alias("strength"),
    )
    als = ALS(
        rank=settings.rank,
        maxIter=settings.iterations,
        regParam=settings.regularization,
        alpha=settings.alpha,
        implicitPrefs=True,
        userCol="customer",
        itemCol="item",
        ratingCol="strength",
        seed=settings.seed,
    )
    found: pa.Table = als.fit(rows).itemFactors.toArrow()
    factors = np.zeros((learned, settings.rank), np.float32)
    values = found["features"].combine_chunks().flatten().to_numpy()
    factors[found["id"].to_numpy()] = values.reshape(-1, settings.rank)
    return factors


def _model(
    items: pa.Table,
    shares: pa.Table,
    neighbours: Codes,
    weights: Floats,
    factors: Floats,
    settings: ModelSettings,
) -> Model:
    statistics = np.stack([items[name].to_numpy() for name in STATISTICS], axis=1)
    categories, category = np.unique(_texts(items["category"]), return_inverse=True)
    regions, region = np.unique(_texts(shares["region"]), return_inverse=True)
    share = np.zeros((len(regions), len(items)), np.float32)
    share[region, shares["item"].to_numpy()] = shares["share"].to_numpy()
    lately = statistics[:, STATISTICS.index("two_months")]
    popular = np.argsort(-lately, kind="stable").astype(np.int32)
    is_new = statistics[popular, STATISTICS.index("age")] < NEW_DAYS
    return Model(
        item_ids=_texts(items["item_id"]),
        category=category.astype(np.int32),
        categories=categories,
        statistics=statistics.astype(np.float32),
        regions=regions,
        region_share=share,
        neighbours=neighbours,
        weights=weights,
        factors=factors,
        als=np.array([settings.alpha, settings.regularization], np.float32),
        popular=popular[:_KEPT],
        newcomers=popular[is_new][:_KEPT],
        **no_ranker(),
    )


def no_ranker() -> dict[str, Any]:
    """The arrays of a ranker that has no tree yet."""
    return {
        "splits": np.zeros((0, 1), np.int32),
        "thresholds": np.zeros((0, 1), np.float32),
        "leaves": np.zeros((0, 2), np.float32),
        "blend": np.array([1, 0, 0], np.float32),
    }


def _texts(column: pa.ChunkedArray) -> np.ndarray:
    return np.array(column.to_pylist(), dtype=np.str_)


FEATURE_NAMES = tuple(feature.name for feature in FEATURES)
