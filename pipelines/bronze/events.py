"""bronze.events: one row per event as the source delivered it, nothing read into it."""

from pyspark.sql import DataFrame

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
    """What a source delivers, in the columns of bronze."""
    return source_events.select(*ORIGIN, "payload", "produced_at")
