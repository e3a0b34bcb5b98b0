"""Events from an Amazon Kinesis stream: by boto3 anywhere, or by the reader that a platform has."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.settings_sections import KinesisSettings
from pipelines.sources.kinesis_api import Kinesis
from pipelines.sources.kinesis_source import KinesisSource

FORMATS = {
    "python": KinesisSource.name(),
    "databricks": "kinesis",
    "emr": "aws-kinesis",
}
RECORD_BYTES = 1024  # taken as an event's size where intake is bounded in bytes


def kinesis_events(spark: SparkSession, kinesis: KinesisSettings) -> DataFrame:
    """The stream as a stream of bronze columns."""
    if kinesis.reader == "python":
        spark.dataSource.register(KinesisSource)
    reader = spark.readStream.format(FORMATS[kinesis.reader])
    records = reader.options(**reader_options(kinesis)).load()
    return records if kinesis.reader == "python" else native_events(records)


def require_stream(kinesis: KinesisSettings) -> None:
    """Make sure that the stream can be read, before a query is started on it.

    Raises:
        SourceError: it does not exist or cannot be reached.
    """
    Kinesis(kinesis.stream, kinesis.region, kinesis.endpoint_url).describe()


def reader_options(kinesis: KinesisSettings) -> dict[str, str]:
    """The settings in the words of the reader that is to be used."""
    if kinesis.reader == "python":
        return {
            "stream": kinesis.stream,
            "region": kinesis.region,
            "endpoint_url": kinesis.endpoint_url,
            "start": kinesis.start,
            "max_records_per_trigger": str(kinesis.max_records_per_trigger),
        }
    if kinesis.reader == "databricks":
        options = {
            "streamName": kinesis.stream,
            "region": kinesis.region,
            "initialPosition": kinesis.start.lower(),
            "fetchBufferSize": f"{kinesis.max_records_per_trigger * RECORD_BYTES}b",
        }
        return options | ({"endpoint": kinesis.endpoint_url} if kinesis.endpoint_url else {})
    aws = f"https://kinesis.{kinesis.region}.amazonaws.com"
    return {
        "kinesis.streamName": kinesis.stream,
        "kinesis.region": kinesis.region,
        "kinesis.endpointUrl": kinesis.endpoint_url or aws,
        "kinesis.startingPosition": kinesis.start,
        "kinesis.failOnDataLoss": "true",
        "kinesis.maxFetchRecordsPerShard": str(kinesis.max_records_per_trigger),
    }


def native_events(records: DataFrame) -> DataFrame:
    """What a platform's own reader delivers, in the columns of bronze.

    Args:
        records: `stream`, `shardId`, `sequenceNumber`, `data` and `approximateArrivalTimestamp`
            of Databricks; of EMR the same with `streamName`, and no `shardId`.

    A sequence number of 56 digits fits no BIGINT, so that it is part of `source`.
    """
    stream = "stream" if "stream" in records.columns else "streamName"
    shard = F.substring_index("shardId", "-", -1).cast("int")
    return records.select(
        F.concat_ws("@", stream, "sequenceNumber").alias("source"),
        (shard if "shardId" in records.columns else F.lit(0)).alias("source_partition"),
        F.lit(0).cast("bigint").alias("source_offset"),
        F.col("data").alias("payload"),
        F.col("approximateArrivalTimestamp").alias("produced_at"),
    )
