"""Events from a Kafka topic."""

import json
from collections.abc import Mapping

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.settings_sections import KafkaSettings


def kafka_events(
    spark: SparkSession, kafka: KafkaSettings, starts: Mapping[str, int] | None = None
) -> DataFrame:
    """The topic from its first offset on, as a stream of bronze columns.

    Args:
        starts: by partition, where a stream without a checkpoint begins instead.

    `failOnDataLoss` stays true: offsets that have gone must stop the stream, not pass unseen.
    """
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka.bootstrap_servers)
        .option("subscribe", kafka.topic)
        .option("startingOffsets", json.dumps({kafka.topic: starts}) if starts else "earliest")
        .option("failOnDataLoss", "true")
        .option("maxOffsetsPerTrigger", kafka.max_offsets_per_trigger)
        .load()
    )
    return records.select(
        F.col("topic").alias("source"),
        F.col("partition").alias("source_partition"),
        F.col("offset").alias("source_offset"),
        F.col("value").alias("payload"),
        F.col("timestamp").alias("produced_at"),
    )
