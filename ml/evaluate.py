"""How good recommendations are on purchases that the model has not seen."""

from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F


@dataclass(frozen=True)
class Quality:
    """Means over the customers who bought something in the held-out weeks, all in [0, 1]."""

    ndcg: float
    recall: float
    coverage: float


def evaluate(recommended: DataFrame, truth: DataFrame, catalogue_size: int, k: int = 10) -> Quality:
    """Score ranked items against what was bought.

    nDCG@k after Järvelin and Kekäläinen (2002) with binary gains: the sum of 1/log2(rank + 1)
    over the hits, divided by that of a perfect list. Customers without recommendations score 0.

    Args:
        recommended: customer_id, rank (from 1), item_id.
        truth: customer_id, item_id, without repetition.
        catalogue_size: number of items that could have been recommended.
    """
    gain = 1 / F.log2(F.col("rank") + 1)
    hits = (
        recommended.where(F.col("rank") <= k)
        .join(truth, ["customer_id", "item_id"], "inner")
        .groupBy("customer_id")
        .agg(F.sum(gain).alias("dcg"), F.count("*").alias("hits"))
    )
    wanted = truth.groupBy("customer_id").agg(F.count("*").alias("bought"))
    reachable = F.least("bought", F.lit(k))
    ideal = F.aggregate(
        F.sequence(F.lit(1), reachable.cast("int")),
        F.lit(0.0),
        lambda total, rank: total + 1 / F.log2(rank + 1),
    )
    per_customer = wanted.join(hits, "customer_id", "left").select(
        (F.coalesce("dcg", F.lit(0.0)) / ideal).alias("ndcg"),
        (F.coalesce("hits", F.lit(0)) / reachable).alias("recall"),
    )
    means = per_customer.agg(
        F.avg("ndcg").alias("ndcg"), F.avg("recall").alias("recall")
    ).collect()[0]
    offered = recommended.where(F.col("rank") <= k).select("item_id").distinct().count()
    return Quality(
        ndcg=means["ndcg"] or 0.0,
        recall=means["recall"] or 0.0,
        coverage=offered / max(1, catalogue_size),
    )
