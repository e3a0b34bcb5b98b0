"""Which topic bronze was read from, and how to read on without a checkpoint.

Bronze itself says both: a property of the table names the topic's id, which a later topic of the
same name does not have, and the origin of its rows says how far each partition was read.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from confluent_kafka.admin import AdminClient
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.errors import SourceError
from pipelines.io.checkpoints import bronze_stream, holds_events_of
from pipelines.io.files import move, names_in, property_of
from pipelines.io.lake import checkpoint_path, table_path
from pipelines.io.read import read
from pipelines.settings import Settings
from pipelines.sources.files import landed
from pipelines.sources.stream import files_folder, source_name
from pipelines.sources.topic import first_offsets, topic_id

Starts = dict[str, int]


def same_topic(spark: SparkSession, settings: Settings) -> Callable[[], None]:
    """A check that the topic is the one that bronze was read from; the first one is noted.

    The check takes about a millisecond, so that each batch can be preceded by it.

    Raises:
        SourceError: by the check: the topic was deleted and another one made under its name.
    """
    if settings.source.kind != "kafka":
        return lambda: None
    kafka = settings.source.kafka
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    key = f"lakehouse.topic.{kafka.topic}"
    known = property_of(spark, settings, EVENTS.name, key)
    if not known and (known := topic_id(client, kafka.topic)):
        path = table_path(settings, EVENTS.name)
        spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('{key}' = '{known}')")

    def check() -> None:
        found = topic_id(client, kafka.topic)
        if known and found and found != known:
            raise SourceError(
                f"topic {kafka.topic} was deleted and made again since bronze was read from it, and"
                " no longer holds the offsets that were to be read next; send its events to a topic"
                " of another name and read that one (source.kafka.topic); what was read is safe"
            )

    return check


def resume_from_bronze(
    spark: SparkSession, settings: Settings, note: Callable[[str], None]
) -> Starts | None:
    """Put the source's checkpoint aside, and say where a new one is to begin.

    Args:
        note: told where the old checkpoint is now, and which offsets no one can read any more.

    Returns:
        By partition of the topic, the offset after the newest in bronze, or the oldest that the
        topic still holds if that is later; None for a source that has no offsets.

    Raises:
        SourceError: the source cannot be read on from what bronze holds.
    """
    _require_readable(spark, settings)
    path = checkpoint_path(settings, bronze_stream(settings))
    if names_in(spark, path):
        at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        aside = checkpoint_path(settings, f"replaced/{bronze_stream(settings)}-{at}")
        move(spark, path, aside)
        note(f"the old checkpoint is now {aside}")
    if settings.source.kind != "kafka":
        return None
    kafka = settings.source.kafka
    bronze = read(spark, settings, EVENTS.name).where(F.col("source") == kafka.topic)
    newest = bronze.groupBy("source_partition").agg(F.max("source_offset").alias("offset"))
    after = {str(row["source_partition"]): row["offset"] + 1 for row in newest.collect()}
    starts = {}
    for partition, oldest in first_offsets(kafka.bootstrap_servers, kafka.topic).items():
        wanted = after.get(partition, oldest)
        starts[partition] = max(wanted, oldest)
        if wanted < oldest:
            note(
                f"offsets {wanted} to {oldest - 1} of partition {partition} have expired: these "
                f"{oldest - wanted:,} are not in the lake"
            )
    return starts


def _require_readable(spark: SparkSession, settings: Settings) -> None:
    """Of another source than Kafka, nothing that it holds may be in bronze."""
    kind, name = settings.source.kind, source_name(settings)
    if kind == "kinesis" and holds_events_of(spark, settings):
        raise SourceError(
            f"bronze does not say where to read Kinesis stream {name} on; put the checkpoint back "
            "from a backup, or read the stream into a lake of its own (--root)"
        )
    if kind == "files":
        folder = files_folder(settings)
        known = read(spark, settings, EVENTS.name).select("source").distinct()
        both = landed(spark, folder).join(known, "source", "left_semi")
        if count := both.count():
            raise SourceError(
                f"bronze holds {count:,} of the files in {folder} (its column `source` names them);"
                " move those out of it and run again"
            )
