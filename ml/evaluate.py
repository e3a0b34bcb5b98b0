"""How good recommendations are on purchases that the model has not seen."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class Quality:
    """Means over the customers who bought something in the held-out weeks, all in [0, 1].

    Attributes:
        coverage: share of the items that could be recommended which stand in any list.
    """

    ndcg: float
    recall: float
    coverage: float


def per_customer(recommended: DataFrame, truth: DataFrame, k: int = 10) -> DataFrame:
    """Score ranked items against what was bought: customer_id, ndcg, recall, listed.

    nDCG@k after Järvelin and Kekäläinen (2002) with binary gains: the sum of 1/log2(rank + 1)
    over the hits, divided by that of a perfect list. Recall is of what k places can hold.
    Customers without recommendations score 0.

    Args:
        recommended: customer_id, rank (from 1), item_id.
        truth: customer_id, item_id, without repetition.
    """
    gain = 1 / F.log2(F.col("rank") + 1)
    best = recommended.where(F.col("rank") <= k)
    bought = truth.withColumn("bought", F.lit(True))
    hits = (
        best.join(bought, ["customer_id", "item_id"], "left")
        .groupBy("customer_id")
        .agg(
            F.sum(F.when(F.col("bought"), gain)).alias("dcg"),
            F.count("bought").alias("hits"),
            F.count("*").alias("listed"),
        )
    )
    wanted = truth.groupBy("customer_id").agg(F.count("*").alias("bought"))
    reachable = F.least("bought", F.lit(k))
    ideal = F.aggregate(
        F.sequence(F.lit(1), reachable.cast("int")),
        F.lit(0.0),
        lambda total, rank: total + 1 / F.log2(rank + 1),
    )
    return wanted.join(hits, "customer_id", "left").select(
        "customer_id",
        (F.coalesce("dcg", F.lit(0.0)) / ideal).alias("ndcg"),
        (F.coalesce("hits", F.lit(0)) / reachable).alias("recall"),
        F.coalesce("listed", F.lit(0)).alias("listed"),
    )


def evaluate(recommended: DataFrame, truth: DataFrame, catalogue_size: int, k: int = 10) -> Quality:
    """The means of `per_customer`, and the coverage of a catalogue of that size."""
    means = (
        per_customer(recommended, truth, k)
        .agg(F.avg("ndcg").alias("ndcg"), F.avg("recall").alias("recall"))
        .collect()[0]
    )
    offered = recommended.where(F.col("rank") <= k).select("item_id").distinct().count()
    return Quality(
        ndcg=means["ndcg"] or 0.0,
        recall=means["recall"] or 0.0,
        coverage=offered / max(1, catalogue_size),
    )


def popular_share(recommended: DataFrame, k: int = 10, most: int = 100) -> float:
    """Share of the lists' places that the `most` recommended items hold, in [0, 1]."""
    places = recommended.where(F.col("rank") <= k).groupBy("item_id").count()
    total = places.agg(F.sum("count")).collect()[0][0] or 0
    top = places.orderBy(F.col("count").desc()).limit(most).agg(F.sum("count")).collect()[0][0]
    return float(top or 0) / max(1, total)
