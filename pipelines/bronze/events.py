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


_ROW_BITS = (1 << 33) - 1  # of monotonically_increasing_id: the row within its task


def events(source_events: DataFrame) -> DataFrame:
    """One batch of what a source delivers, in the columns of bronze.

    A line of a file comes without a place; it gets the number of its row within the task that
    reads it, which is its number in the file, as each file is read by one task of its own.
    """
    row = F.monotonically_increasing_id().bitwiseAND(F.lit(_ROW_BITS))
    numbered = F.coalesce("source_offset", row)
    return source_events.withColumn("source_offset", numbered).select(
        *ORIGIN, "payload", "produced_at"
    )
