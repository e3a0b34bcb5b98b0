"""The steps of the model's life, each one command: train, evaluate, promote, recommend."""

from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ml import tracking
from ml.evaluate import Quality, evaluate
from ml.features import holdout_start, interactions, new_to_customer
from ml.promote import Decision, decide
from ml.recommend import popular, recommend, top_ranked
from ml.train import train
from pipelines.errors import ModelError
from pipelines.gold.recommendations import RECOMMENDATIONS
from pipelines.io.read import read, version_of
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.purchases import PURCHASES


@dataclass(frozen=True)
class Evaluation:
    """Held-out quality of a model version beside the best sellers for everyone."""

    version: str
    start: datetime
    model: Quality
    popularity: Quality


def train_model(spark: SparkSession, settings: Settings) -> tracking.Version:
    """Fit on every purchase so far and register the result as `challenger`.

    A model trained on the same data with the same parameters is not trained again.
    """
    version = version_of(spark, settings, PURCHASES.name)
    parameters = settings.model.model_dump(exclude={"tracking_uri", "top_k"})
    standing = tracking.find_alias(settings, tracking.CHALLENGER)
    wanted = {**parameters, f"version of {PURCHASES.name}": version}
    if standing and standing.parameters == {key: str(value) for key, value in wanted.items()}:
        return standing
    purchases = read(spark, settings, PURCHASES.name, version=version)
    recommender = train(interactions(purchases), settings.model)
    return tracking.register(settings, recommender, parameters, {PURCHASES.name: version})


def evaluate_model(spark: SparkSession, settings: Settings) -> Evaluation:
    """Backtest the challenger's parameters: fit before the held-out weeks, score in them.

    What counts is what a customer had never bought before. The figures go to the run.
    """
    challenger = tracking.by_alias(settings, tracking.CHALLENGER)
    purchases = read(spark, settings, PURCHASES.name)
    last = purchases.agg(F.max("occurred_at")).collect()[0][0]
    if last is None:
        raise ModelError("there are no purchases to evaluate on; run `lakehouse ingest` first")
    start = holdout_start(last, settings.model.test_weeks)
    seen = interactions(purchases, until=start).persist()
    truth = new_to_customer(purchases, start).persist()
    recommender = train(seen, settings.model)
    size = recommender.items.count()
    best = popular(seen, top_k=200)
    everyone = seen.select("customer_id").distinct()
    offered = everyone.crossJoin(F.broadcast(best.drop("rank"))).join(
        recommender.known, ["customer_id", "item_id"], "left_anti"
    )
    baseline = top_ranked(offered.withColumn("score", F.col("customers").cast("double")), 10)
    result = Evaluation(
        version=challenger.version,
        start=start,
        model=evaluate(recommend(recommender, 10).persist(), truth, size),
        popularity=evaluate(baseline.persist(), truth, size),
    )
    tracking.log_quality(settings, challenger, "model", result.model)
    tracking.log_quality(settings, challenger, "popularity", result.popularity)
    return result


def evaluation_of(
    spark: SparkSession, settings: Settings, version: tracking.Version
) -> dict[str, float]:
    """The held-out figures of a version, measured now if its run does not have them."""
    if "model_ndcg" in version.metrics:
        return version.metrics
    evaluate_model(spark, settings)
    return tracking.by_alias(settings, tracking.CHALLENGER).metrics


def best_customer(spark: SparkSession, settings: Settings) -> str:
    """Who bought on most occasions; a good one to show."""
    purchases = read(spark, settings, PURCHASES.name).where("customer_id IS NOT NULL")
    baskets = purchases.groupBy("customer_id").agg(F.count_distinct("basket_id").alias("baskets"))
    first = baskets.orderBy(F.col("baskets").desc(), "customer_id").first()
    if first is None:
        raise ModelError("no purchase names a customer; nobody can be recommended to")
    return str(first["customer_id"])


def promote_model(settings: Settings) -> Decision:
    """Let `champion` point at the challenger if it earned it."""
    challenger = tracking.by_alias(settings, tracking.CHALLENGER)
    champion = tracking.find_alias(settings, tracking.CHAMPION)
    if champion and champion.version == challenger.version:
        return Decision(False, f"version {champion.version} is the champion already")
    decision = decide(challenger.metrics, champion.metrics if champion else None)
    if decision.promoted:
        tracking.point_alias(settings, tracking.CHAMPION, challenger)
    return decision


def recommend_items(spark: SparkSession, settings: Settings) -> DataFrame:
    """Write gold.recommendations by the champion for every customer that it knows."""
    champion = tracking.by_alias(settings, tracking.CHAMPION)
    purchases = read(spark, settings, PURCHASES.name)
    recommender = tracking.load(spark, settings, champion)
    known = interactions(purchases).select("customer_id", "item_id")
    rows = recommend(recommender.knowing(known), settings.model.top_k)
    named = rows.withColumn("model_version", F.lit(champion.version))
    write(named.select(*RECOMMENDATIONS.columns), settings, RECOMMENDATIONS)
    return read(spark, settings, RECOMMENDATIONS.name)
