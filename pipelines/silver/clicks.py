"""silver.clicks: one row per view of an item by a customer."""

from pyspark.sql import DataFrame

from pipelines.silver.event import FACT_CHECKS, FACT_COLUMNS, FACT_SCHEMA, short_text
from pipelines.table import Table, not_null

CLICKS = Table(
    name="silver.clicks",
    comment="One row per view of an item by a customer.",
    event_type="click",
    schema=f"""
        {FACT_SCHEMA},
        customer_id STRING COMMENT 'who looked; null before sign-in',
        session_id  STRING NOT NULL COMMENT 'the visit in which it happened'
    """,
    cluster_by=("customer_id", "item_id"),
    checks=(
        *FACT_CHECKS,
        not_null("session_id"),
        short_text("session_id"),
        short_text("customer_id"),
    ),
)


def clicks(events: DataFrame) -> DataFrame:
    """The click events, typed."""
    return events.select(*FACT_COLUMNS, "customer_id", "session_id")
