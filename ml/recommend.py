"""From a fitted recommender to ranked items per customer, and from items to similar items."""

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from ml.train import Recommender

# Candidates fetched per customer before the items they have are taken out.
_CANDIDATES = 200


def recommend(recommender: Recommender, top_k: int) -> DataFrame:
    """The `top_k` items new to each customer: customer_id, rank (1 is best), item_id, score."""
    candidates = (
        recommender.model.recommendForAllUsers(_CANDIDATES)
        .select("customer_index", F.explode("recommendations").alias("r"))
        .select("customer_index", "r.item_index", F.col("r.rating").cast("double").alias("score"))
    )
    named = candidates.join(F.broadcast(recommender.customers), "customer_index", "inner").join(
        F.broadcast(recommender.items), "item_index", "inner"
    )
    new = named.join(recommender.known, ["customer_id", "item_id"], "left_anti")
    return top_ranked(new, top_k)


def top_ranked(scored: DataFrame, top_k: int) -> DataFrame:
    """The best `top_k` rows of each customer by score, ties by item_id, with their rank."""
    best_first = Window.partitionBy("customer_id").orderBy(F.col("score").desc(), "item_id")
    return (
        scored.withColumn("rank", F.row_number().over(best_first))
        .where(F.col("rank") <= top_k)
        .select("customer_id", "rank", "item_id", "score")
    )


def popular(rows: DataFrame, top_k: int) -> DataFrame:
    """The items that most customers bought: rank, item_id, customers."""
    counts = rows.groupBy("item_id").agg(F.count_distinct("customer_id").alias("customers"))
    place = F.row_number().over(Window.orderBy(F.col("customers").desc(), "item_id"))
    return counts.withColumn("rank", place).where(F.col("rank") <= top_k)


def similar_items(
    factors: NDArray[np.float32], top_k: int, block: int = 512
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `top_k` nearest items of each item by cosine, itself left out.

    Args:
        factors: item factors, one row per item.
        block: rows scored at a time; 512 x 50,000 float32 take 100 MB.

    Returns:
        Row numbers and similarities, both of shape (items, top_k), the nearest first.
    """
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    unit = factors / np.maximum(lengths, np.finfo(np.float32).tiny)
    top_k = min(top_k, len(unit) - 1)
    neighbours = np.empty((len(unit), top_k), dtype=np.int64)
    similarity = np.empty((len(unit), top_k), dtype=np.float32)
    for start in range(0, len(unit), block):
        scores = unit[start : start + block] @ unit.T
        rows = np.arange(len(scores))
        scores[rows, start + rows] = -np.inf
        best = np.argpartition(scores, -top_k, axis=1)[:, -top_k:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        neighbours[start : start + block] = best
        similarity[start : start + block] = np.take_along_axis(scores, best, axis=1)
    return neighbours, similarity
