"""silver.batches: one row per batch of the silver stream, with what became of its events."""

from pipelines.table import Table

BATCHES = Table(
    name="silver.batches",
    comment="One row per batch of bronze that silver took in, with what became of its events.",
    schema="""
        application STRING NOT NULL COMMENT 'checkpoint of the stream, or the replay',
        batch_id    BIGINT NOT NULL COMMENT 'number of the batch in its checkpoint',
        ended_at    TIMESTAMP NOT NULL COMMENT 'when its last table was written, UTC',
        seconds     DOUBLE NOT NULL COMMENT 'from its first read to its last write',
        valid       BIGINT NOT NULL COMMENT 'events that went to their tables',
        refused     BIGINT NOT NULL COMMENT 'events that went to quarantine',
        duplicate   BIGINT NOT NULL COMMENT 'events that had been sent before',
        late        BIGINT NOT NULL COMMENT 'events that were parked as too late',
        seen        BIGINT NOT NULL COMMENT 'events that stood in silver already: read again',
        watermark   TIMESTAMP COMMENT 'event time that the stream had reached after it',
        skipped     ARRAY<STRING> NOT NULL COMMENT 'tables that a former attempt had written'
    """,
)
