"""What `benchmarks.freshness_gold` times, each in a process of its own: ours and a plain job.

`python -m benchmarks.freshness_runs ours|plain ROOT SERVERS TOPIC` runs until it is ended, and
prints `ready` once it takes events in.
"""

import sys
from collections.abc import Callable

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks.ingest_peers import SCHEMA
from pipelines.io.lake import open_lake
from pipelines.io.session import spark_session
from pipelines.running import end_on_signals
from pipelines.settings import Settings, load_settings
from pipelines.views.fresh import ingest_and_refresh

VIEW = "sales_hourly"
KEYS = ("category", "region", "hour_at", "currency")
SUMS = ("units", "revenue_cents", "purchase_count")


def ours(spark: SparkSession, settings: Settings) -> None:
    """`lakehouse ingest --continuous --refresh sales_hourly`: all that the medallion promises."""
    told: list[bool] = []

    def progress(_stage: str, _rows: int) -> None:
        if not told:
            told.append(True)
            print("ready", flush=True)

    ingest_and_refresh(spark, settings, progress, resume=False, note=print)


def plain(spark: SparkSession, settings: Settings) -> None:
    """Kafka -> parse -> MERGE of the batch's sums into gold, as the guides have it.

    No bronze, no silver, no check, no quarantine, and an event that is sent twice counts twice.
    """
    kafka, path = settings.source.kafka, f"{settings.root}/gold/{VIEW}"
    (
        DeltaTable.createIfNotExists(spark)
        .location(path)
        .addColumns(
            spark.createDataFrame(
                [],
                "category STRING, region STRING, hour_at TIMESTAMP, currency STRING, "
                "units BIGINT, revenue_cents BIGINT, purchase_count BIGINT",
            ).schema
        )
        .execute()
    )

    def merge(batch: DataFrame, _number: int) -> None:
        sums = batch.groupBy(
            "category", "region", F.date_trunc("HOUR", "occurred_at").alias("hour_at"), "currency"
        ).agg(
            F.sum("quantity").alias("units"),
            F.sum(F.col("quantity") * F.col("price_cents")).alias("revenue_cents"),
            F.count("*").alias("purchase_count"),
        )
        (
            DeltaTable.forPath(batch.sparkSession, path)
            .alias("t")
            .merge(sums.alias("s"), " AND ".join(f"t.{key} = s.{key}" for key in KEYS))
            .whenMatchedUpdate(set={name: F.expr(f"t.{name} + s.{name}") for name in SUMS})
            .whenNotMatchedInsertAll()
            .execute()
        )

    source = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka.bootstrap_servers)
        .option("subscribe", kafka.topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    parsed = source.select(F.from_json(F.col("value").cast("string"), SCHEMA).alias("event"))
    query = (
        parsed.select("event.*")
        .where("event_type = 'purchase'")
        .writeStream.foreachBatch(merge)
        .option("checkpointLocation", f"{settings.root}/_checkpoints/plain")
        .start()
    )
    print("ready", flush=True)
    query.awaitTermination()


RUNS: dict[str, Callable[[SparkSession, Settings], None]] = {"ours": ours, "plain": plain}


def main() -> None:
    end_on_signals()
    name, root, servers, topic = sys.argv[1:5]
    given = {
        "root": root,
        "source.kafka.bootstrap_servers": servers,
        "source.kafka.topic": topic,
        "ingest.refresh": [VIEW],
    }
    settings = load_settings(overrides=given)
    open_lake(settings, create=True)
    RUNS[name](spark_session(settings), settings)


if __name__ == "__main__":
    main()
