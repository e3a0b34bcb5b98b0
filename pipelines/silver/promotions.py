"""silver.promotions: one row per promotion of an item in a region, by display or mailer."""

from pyspark.sql import DataFrame

from pipelines.silver.event import FACT_CHECKS, FACT_COLUMNS, FACT_SCHEMA
from pipelines.table import Table, between, not_null, one_of

PLACEMENTS = ("display", "mailer", "both")

PROMOTIONS = Table(
    name="silver.promotions",
    comment="One row per promotion of an item in a region, by display or mailer.",
    event_type="promotion",
    schema=f"""
        {FACT_SCHEMA},
        placement     STRING NOT NULL COMMENT 'display, mailer or both',
        duration_days BIGINT NOT NULL COMMENT 'days that it runs, from the day of occurred_at on'
    """,
    cluster_by=("item_id", "region", "occurred_at"),
    checks=(
        *FACT_CHECKS,
        not_null("placement"),
        one_of("placement", PLACEMENTS, "placement_unknown"),
        not_null("duration_days"),
        between("duration_days", 1, 366),
    ),
)


def promotions(events: DataFrame) -> DataFrame:
    """The promotion events, typed."""
    return events.select(*FACT_COLUMNS, "placement", "duration_days")
