"""gold.refreshes: one row per refresh that changed a view or what it shows; filled by `refresh`."""

from pipelines.table import Append, Table

REFRESHES = Table(
    name="gold.refreshes",
    comment="One row per refresh of a gold view that was committed.",
    schema="""
        view          STRING NOT NULL COMMENT 'the view',
        view_version  BIGINT NOT NULL COMMENT 'version of it that the refresh made',
        strategy      STRING NOT NULL COMMENT 'none, rows, totals, groups or full',
        reason        STRING NOT NULL COMMENT 'why that one',
        from_versions MAP<STRING, BIGINT> NOT NULL COMMENT 'source -> version shown before',
        to_versions   MAP<STRING, BIGINT> NOT NULL COMMENT 'source -> version shown since',
        changed_rows  BIGINT NOT NULL COMMENT 'rows of the sources that came or went, by their log',
        changed_bytes BIGINT NOT NULL COMMENT 'size of the change feeds read',
        touched_keys  BIGINT NOT NULL COMMENT 'keys of the view that these touched; 0 if full',
        removed_rows  BIGINT NOT NULL COMMENT 'rows taken out of the view; 0 if full',
        added_rows    BIGINT NOT NULL COMMENT 'rows put into the view',
        seconds       DOUBLE NOT NULL COMMENT 'from the plan to the commit',
        refreshed_at  TIMESTAMP NOT NULL COMMENT 'when it was committed, UTC'
    """,
    write=Append(),
    cluster_by=("view",),
)
