"""The steps of the model's life, each one command: train, evaluate, promote, recommend."""

from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ml import tracking
from ml.batch import recommend_batch
from ml.features import histories_at, lines
from ml.judge import Evaluation, judge
from ml.promote import Decision, Lift, decide
from ml.train import train
from pipelines.errors import ModelError
from pipelines.gold.recommendations import RECOMMENDATIONS
from pipelines.io.read import read, version_of
from pipelines.settings import Settings
from pipelines.silver.purchases import PURCHASES

HELD_OUT, DATA = "held out from", f"version of {PURCHASES.name}"


def train_model(spark: SparkSession, settings: Settings) -> tracking.Version:
    """Fit on every purchase so far and register the result as `challenger`.

    A model trained on the same data with the same parameters is not trained again.
    """
    data = version_of(spark, settings, PURCHASES.name)
    parameters = settings.model.model_dump(exclude={"tracking_uri", "top_k", "guards", "batch"})
    wanted = {**parameters, DATA: data}
    standing = tracking.find_alias(settings, tracking.CHALLENGER)
    if standing and {key: standing.parameters.get(key) for key in wanted} == {
        key: str(value) for key, value in wanted.items()
    }:
        return standing
    rows = lines(read(spark, settings, PURCHASES.name, version=data)).persist()
    trained = train(rows, end_of(rows), settings.model)
    found = {HELD_OUT: trained.start.isoformat(), "blend": trained.served.model.blend.tolist()}
    version = tracking.register(settings, trained, wanted | found)
    for frame in (rows, trained.served.known.histories, trained.backtest.known.histories):
        frame.unpersist()
    return version


def evaluate_model(spark: SparkSession, settings: Settings) -> Evaluation:
    """Ask the challenger's and the champion's backtests what was bought in the held-out weeks.

    Both see the same histories, which end where the challenger's held-out weeks begin; neither
    was fitted on anything later. The figures go to the challenger's run.
    """
    challenger = tracking.by_alias(settings, tracking.CHALLENGER)
    champion = tracking.find_alias(settings, tracking.CHAMPION)
    if champion and champion.version == challenger.version:
        champion = None
    data = int(challenger.parameters[DATA])
    rows = lines(read(spark, settings, PURCHASES.name, version=data)).persist()
    start = datetime.fromisoformat(challenger.parameters[HELD_OUT])
    models = [tracking.model_of(settings, challenger, tracking.BACKTEST)]
    if champion:
        models.append(tracking.model_of(settings, champion, tracking.BACKTEST))
    result = judge(rows, start, end_of(rows), models, challenger.version)
    rows.unpersist()
    tracking.log_metrics(settings, challenger, result.metrics())
    tracking.tag(settings, challenger, "compared with", champion.version if champion else "none")
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
    """Let `champion` point at the challenger if it earned it; `previous` at who was champion."""
    challenger = tracking.by_alias(settings, tracking.CHALLENGER)
    champion = tracking.find_alias(settings, tracking.CHAMPION)
    if champion and champion.version == challenger.version:
        return Decision(False, f"version {champion.version} is the champion already")
    lift = None
    if champion:
        if challenger.tags.get("compared with") != champion.version:
            return Decision(
                False,
                f"the challenger was not compared with version {champion.version}; run"
                " `lakehouse evaluate`",
            )
        lift = Lift(
            *(challenger.metrics[f"lift_{part}"] for part in ("mean", "low", "high", "ratio"))
        )
    before = champion.metrics if champion else None
    decision = decide(challenger.metrics, before, lift, settings.model.guards)
    if decision.promoted:
        if champion:
            tracking.point_alias(settings, tracking.PREVIOUS, champion)
        tracking.point_alias(settings, tracking.CHAMPION, challenger)
    return decision


def roll_back(settings: Settings) -> Decision:
    """Let `champion` point at who was champion before; rolling back twice comes to the same.

    Raises:
        ModelError: there was no champion before.
    """
    previous = tracking.find_alias(settings, tracking.PREVIOUS)
    if previous is None:
        raise ModelError("there was no champion before this one; nothing to roll back to")
    champion = tracking.by_alias(settings, tracking.CHAMPION)
    tracking.point_alias(settings, tracking.CHAMPION, previous)
    if champion.version == previous.version:
        return Decision(False, f"version {previous.version} is the champion already")
    return Decision(True, f"version {previous.version} again instead of {champion.version}")


def recommend_items(spark: SparkSession, settings: Settings) -> DataFrame:
    """Write gold.recommendations by the champion for every customer."""
    champion = tracking.by_alias(settings, tracking.CHAMPION)
    model = tracking.model_of(settings, champion, tracking.SERVED)
    data = version_of(spark, settings, PURCHASES.name)
    rows = lines(read(spark, settings, PURCHASES.name, version=data)).persist()
    people = histories_at(rows, end_of(rows), model.item_ids.tolist()).persist()
    recommend_batch(people, model, settings, champion.version, data)
    people.unpersist()
    rows.unpersist()
    return read(spark, settings, RECOMMENDATIONS.name)


def end_of(rows: DataFrame) -> datetime:
    """The instant after the last purchase.

    Raises:
        ModelError: there is none.
    """
    last: datetime | None = rows.agg(F.max("occurred_at")).collect()[0][0]
    if last is None:
        raise ModelError("there are no purchases of customers; run `lakehouse ingest` first")
    return last + timedelta(microseconds=1)
