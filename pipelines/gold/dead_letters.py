"""gold.dead_letters: one row per call of a webhook that was given up; filled by `react`."""

from pipelines.table import Append, Table

DEAD_LETTERS = Table(
    name="gold.dead_letters",
    comment="One row per reaction that failed with an event, or whose webhook never took it.",
    schema="""
        letter_id   STRING NOT NULL COMMENT 'the idempotency key of the call',
        reaction    STRING NOT NULL COMMENT 'which reaction',
        webhook     STRING COMMENT 'what it called; null where the reaction itself failed',
        body        STRING NOT NULL COMMENT 'the message, JSON',
        attempts    INT    NOT NULL COMMENT 'how often it was tried',
        error       STRING NOT NULL COMMENT 'how the last attempt ended',
        made_at     TIMESTAMP NOT NULL COMMENT 'when the reaction was made, UTC'
    """,
    write=Append(),
    cluster_by=("made_at",),
)
