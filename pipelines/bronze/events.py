"""bronze.events: one row per event as the source delivered it, nothing read into it."""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.table import ORIGIN, ORIGIN_SCHEMA, Table

EVENTS = Table(
    name="bronze.events",
    comment="One row per event as the source delivered it; append-only, replayable.",
    schema=f"""
        {ORIGIN_SCHEMA},
        payload     BINARY COMMENT 'the event, byte for byte; null for a tombstone',
        produced_at TIMESTAMP COMMENT 'when the source took it in, UTC'
    """,
)


def events(source_events: DataFrame) -> DataFrame:
    """One batch of what a source delivers, in the columns of bronze.

    A line of a file gets a number that is unique within its file, since a file is read in one
    batch, and that stays what it is once bronze holds it.
    """
    numbered = F.coalesce("source_offset", F.monotonically_increasing_id())
    return source_events.withColumn("source_offset", numbered).select(
        *ORIGIN, "payload", "produced_at"
    )
