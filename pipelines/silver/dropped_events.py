"""silver.dropped_events: one row per event that no table shows any more, with the reason."""

from pipelines.table import ORIGIN_SCHEMA, Table

DROPPED_EVENTS = Table(
    name="silver.dropped_events",
    comment="One row per valid event that no table shows (any more), with the reason.",
    schema=f"""
        event_id   STRING NOT NULL COMMENT 'of the event',
        table_name STRING NOT NULL COMMENT 'where it would stand',
        reason     STRING NOT NULL COMMENT 'duplicate, superseded (a newer row won) or erased',
        {ORIGIN_SCHEMA}
    """,
)
