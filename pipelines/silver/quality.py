"""silver.quality: one row per table, range of versions and check: how many rows broke it."""

from pipelines.table import Table

QUALITY = Table(
    name="silver.quality",
    comment="One row per validated table, range of its versions and check: the trend of quality.",
    schema="""
        table_name   STRING NOT NULL COMMENT 'the table that was validated',
        from_version BIGINT NOT NULL COMMENT 'first version whose rows were looked at',
        to_version   BIGINT NOT NULL COMMENT 'last version whose rows were looked at',
        reason       STRING NOT NULL COMMENT 'code of the check',
        rows         BIGINT NOT NULL COMMENT 'rows that these versions added or changed',
        failures     BIGINT NOT NULL COMMENT 'those of them that broke the check',
        success      BOOLEAN NOT NULL COMMENT 'whether none did',
        validated_at TIMESTAMP NOT NULL COMMENT 'when Great Expectations looked at them, UTC'
    """,
    cluster_by=("table_name", "validated_at"),
)
