"""Recommendations for everybody, in parts that a restart does not repeat, shown by one commit."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.recommend import recommend_all
from pipelines.gold.recommendations import PARTS, RECOMMENDATIONS
from pipelines.io.files import applied
from pipelines.io.read import exists, last_metadata, read, version_of
from pipelines.io.write import Transaction, remove, write
from pipelines.settings import Settings
from serving.recommender.model import Model
from serving.recommender.ranking import Wish


def recommend_batch(
    people: DataFrame, model: Model, settings: Settings, version: str, data: int
) -> bool:
    """Write gold.recommendations for all customers; returns False if they were written already.

    Customers are parted by a hash. Every part is committed to `gold.recommendation_parts` under a
    transaction of its own, so that a run after a crash goes on with the first that is missing.
    Readers of gold.recommendations see the former batch until the last commit.

    Args:
        people: `ml.features.histories`, with the item numbers of the model.
        version: of the model; `data`: of the purchases that the histories end with.
    """
    spark = people.sparkSession
    batch = f"model {version}, purchases {data}, top {settings.model.top_k}"
    if exists(spark, settings, RECOMMENDATIONS.name) and (
        last_metadata(spark, settings, RECOMMENDATIONS.name) == batch
    ):
        return False
    wish = Wish(k=settings.model.top_k)
    count = -(-people.count() // settings.model.batch)
    if count <= 1:
        rows = recommend_all(model, people, wish).withColumn("model_version", F.lit(version))
        write(rows.select(*RECOMMENDATIONS.columns), settings, RECOMMENDATIONS, metadata=batch)
        return True
    # The table's version parts this run from one of the same model long ago.
    standing = version_of(spark, settings, RECOMMENDATIONS.name)
    application = f"{batch}, {count} parts, after {standing}"
    done = -1
    if exists(spark, settings, PARTS.name):
        done = applied(spark, settings, PARTS.name, application)
    for part in range(done + 1, count):
        some = people.where(F.pmod(F.hash("customer_id"), F.lit(count)) == part)
        rows = recommend_all(model, some, wish).select(
            "*", F.lit(version).alias("model_version"), F.lit(application).alias("batch")
        )
        write(
            rows.select(*PARTS.columns),
            settings,
            PARTS,
            transaction=Transaction(application, part, may_repeat=True),
        )
    whole = read(spark, settings, PARTS.name).where(F.col("batch") == application)
    write(whole.select(*RECOMMENDATIONS.columns), settings, RECOMMENDATIONS, metadata=batch)
    shown = read(spark, settings, PARTS.name).select("batch").distinct().localCheckpoint()
    remove(shown, settings, PARTS, ("batch",))
    return True
