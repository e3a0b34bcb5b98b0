"""One interface for every source: a stream of rows that bronze takes as they are."""

from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from pyspark.sql import DataFrame, SparkSession

from pipelines.errors import BrokerError, SourceError
from pipelines.settings import Settings
from pipelines.settings_sections import KafkaSettings
from pipelines.sources.files import file_events
from pipelines.sources.kafka import kafka_events
from pipelines.sources.kinesis import kinesis_events, require_stream


def source_events(
    spark: SparkSession, settings: Settings, starts: Mapping[str, int] | None = None
) -> DataFrame:
    """The configured source as a stream of bronze columns.

    Args:
        starts: of Kafka: by partition, where a stream without a checkpoint begins.

    Raises:
        BrokerError: the broker does not answer.
        SourceError: the topic, stream or folder does not exist.
    """
    if settings.source.kind == "kafka":
        require_topic(settings.source.kafka)
        return kafka_events(spark, settings.source.kafka, starts)
    if settings.source.kind == "kinesis":
        require_stream(settings.source.kinesis)
        return kinesis_events(spark, settings.source.kinesis)
    folder = files_folder(settings)
    if "://" not in folder and not Path(folder).is_dir():
        raise SourceError(f"folder {folder} does not exist; create it or set source.files.path")
    return file_events(spark, settings.source.files, folder)


def source_name(settings: Settings) -> str:
    """The name under which the source's progress is kept."""
    source = settings.source
    return {
        "kafka": source.kafka.topic,
        "kinesis": source.kinesis.stream,
        "files": "files",
    }[source.kind]


def files_folder(settings: Settings) -> str:
    """Where the files land; a relative path is meant from the lake's root."""
    return settings.in_lake(settings.source.files.path)


def require_topic(kafka: KafkaSettings) -> None:
    """Make sure that the topic can be read, before a stream is started on it."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    try:
        topics = admin.list_topics(timeout=10).topics
    except KafkaException:
        raise BrokerError(
            f"no Kafka broker answers at {kafka.bootstrap_servers}; start it or correct "
            "source.kafka.bootstrap_servers"
        ) from None
    if kafka.topic not in topics:
        raise SourceError(
            f"topic {kafka.topic} does not exist at {kafka.bootstrap_servers}; "
            "send events with `lakehouse produce` first"
        )
