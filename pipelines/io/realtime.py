"""Spark's real-time mode: of the events of a topic, those wanted, to another, in milliseconds.

It takes no micro-batches: its tasks run on and pass each event as it comes, and only the offsets
are kept from time to time. See docs/adr/0007.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.readwriter import DataStreamWriter

from pipelines.io.erasures import door
from pipelines.io.lake import checkpoint_path
from pipelines.settings import Settings

NAME = "reactions"
_FIELDS = "event_type STRING, item_id STRING, category STRING, region STRING"


@dataclass(frozen=True)
class Wanted:
    """Events of some types, categories and regions; empty: any."""

    types: Collection[str] = ()
    categories: Collection[str] = ()
    regions: Collection[str] = ()


def matched_events(
    spark: SparkSession, settings: Settings, wanted: Iterable[Wanted], topic: str, start: str
) -> DataStreamWriter:
    """A stream of the events that are wanted, byte for byte, by item, to a topic.

    Those of erased people lose the person. Each has a header `produced_at`, the broker's time of
    the event in milliseconds since 1970.

    Args:
        topic: where they go.
        start: of a stream without a checkpoint: `earliest`, or offsets as JSON, as Spark has them.
    """
    kafka = settings.source.kafka
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka.bootstrap_servers)
        .option("subscribe", kafka.topic)
        .option("startingOffsets", start)
        .option("failOnDataLoss", "true")
        .load()
    )
    event = F.from_json(F.col("value").cast("string"), _FIELDS)
    matched = (
        records.withColumn("event", event)
        .where(reduce(or_, map(_is_wanted, wanted), F.lit(False)))
        .select(
            F.col("event.item_id").alias("key"),
            door(spark, settings)(F.col("value")).alias("value"),
            F.array(
                F.struct(
                    F.lit("produced_at").alias("key"),
                    F.unix_millis("timestamp").cast("string").cast("binary").alias("value"),
                )
            ).alias("headers"),
        )
    )
    return (
        matched.writeStream.queryName(NAME)
        .format("kafka")
        .option("kafka.bootstrap.servers", kafka.bootstrap_servers)
        .option("kafka.linger.ms", "0")  # the client waits 5 ms for company by default
        .option("topic", topic)
        .option("checkpointLocation", checkpoint_path(settings, f"{NAME}-{kafka.topic}"))
        .outputMode("update")
    )


def _is_wanted(one: Wanted) -> Column:
    kinds = (("event_type", one.types), ("category", one.categories), ("region", one.regions))
    parts = [F.col(f"event.{name}").isin(sorted(values)) for name, values in kinds if values]
    return reduce(and_, parts, F.col("event.item_id").isNotNull())
