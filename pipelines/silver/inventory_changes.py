"""silver.inventory_changes: one row per movement of an item's stock other than a sale."""

from pyspark.sql import DataFrame

from pipelines.silver.event import FACT_CHECKS, FACT_COLUMNS, FACT_SCHEMA
from pipelines.table import Table, between, not_null

INVENTORY_CHANGES = Table(
    name="silver.inventory_changes",
    comment="One row per movement of an item's stock other than a sale.",
    event_type="inventory_change",
    schema=f"""
        {FACT_SCHEMA},
        delta_quantity BIGINT NOT NULL COMMENT 'units received (positive) or lost (negative)'
    """,
    cluster_by=("item_id", "region", "occurred_at"),
    checks=(
        *FACT_CHECKS,
        not_null("delta_quantity"),
        between("delta_quantity", -1_000_000_000, 1_000_000_000),
    ),
)


def inventory_changes(events: DataFrame) -> DataFrame:
    """The stock events, typed."""
    return events.select(*FACT_COLUMNS, "delta_quantity")
