"""silver.items: one row per item of the catalogue, the latest description wins."""

from pyspark.sql import DataFrame

from pipelines.silver.event import EVENT_CHECKS, EVENT_COLUMNS, EVENT_SCHEMA, short_text
from pipelines.table import Table, Upsert, not_null

ITEMS = Table(
    name="silver.items",
    comment="One row per item of the catalogue, the latest description wins.",
    event_type="item_upsert",
    schema=f"""
        {EVENT_SCHEMA},
        title    STRING NOT NULL COMMENT 'what a shopper reads',
        category STRING COMMENT 'product category',
        brand    STRING COMMENT 'brand'
    """,
    write=Upsert(keys=("item_id",), sequence_by=("occurred_at", "event_id")),
    cluster_by=("item_id",),
    checks=(*EVENT_CHECKS, not_null("title"), short_text("category")),
)


def items(events: DataFrame) -> DataFrame:
    """The item events, typed."""
    return events.select(*EVENT_COLUMNS, "title", "category", "brand")
