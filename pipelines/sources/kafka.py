"""Events from a Kafka topic."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.settings import KafkaSettings


def kafka_events(spark: SparkSession, kafka: KafkaSettings) -> DataFrame:
    """The topic from its first offset on, as a stream of bronze columns.

    `failOnDataLoss` stays true: offsets that have gone must stop the stream, not pass unseen.
    """
    records = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", kafka.bootstrap_servers)
        .option("subscribe", kafka.topic)
        .option("startingOffsets", "earliest")
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
