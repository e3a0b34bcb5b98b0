"""silver.late_events: one row per valid event that came too late for its table."""

from pipelines.table import ORIGIN_SCHEMA, Table

LATE_EVENTS = Table(
    name="silver.late_events",
    comment="One row per valid event that came later than the horizon; replay it to take it in.",
    schema=f"""
        event_id    STRING NOT NULL COMMENT 'of the event',
        reasons     ARRAY<STRING> NOT NULL COMMENT 'always: late',
        payload     BINARY COMMENT 'the event as it arrived',
        produced_at TIMESTAMP COMMENT 'when the source took it in, UTC',
        {ORIGIN_SCHEMA},
        table_name  STRING NOT NULL COMMENT 'where it would stand',
        occurred_at TIMESTAMP NOT NULL COMMENT 'when it happened, UTC',
        watermark   TIMESTAMP NOT NULL COMMENT 'event time that the stream had reached before it'
    """,
)
