"""bronze.erasures: one row per person who was erased, by a keyed hash; read at every ingest."""

from pipelines.table import Table, Upsert

# What a commit says of itself that changed rows of bronze; no other may.
ERASURE = "erasure"

ERASURES = Table(
    name="bronze.erasures",
    comment="One row per erased person: what is sent of them later comes in as nobody's.",
    schema="""
        digest   STRING NOT NULL COMMENT 'HMAC-SHA256 of the customer_id, hexadecimal',
        key_id   STRING NOT NULL COMMENT 'which key it was made with',
        begun_at TIMESTAMP NOT NULL COMMENT 'when it was asked for last, UTC',
        done_at  TIMESTAMP COMMENT 'when nothing was left, UTC; null: to be run again',
        found    MAP<STRING, BIGINT> COMMENT 'store -> what that run removed or changed there'
    """,
    write=Upsert(keys=("digest",), sequence_by=("begun_at",)),
)
