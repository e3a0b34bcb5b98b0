"""silver.price_changes: one row per new shelf price of an item in a region."""

from pyspark.sql import DataFrame

from pipelines.silver.currencies import CURRENCIES
from pipelines.silver.event import FACT_CHECKS, FACT_COLUMNS, FACT_SCHEMA, MAX_CENTS
from pipelines.table import Table, between, not_null, one_of

PRICE_CHANGES = Table(
    name="silver.price_changes",
    comment="One row per new shelf price of an item in a region.",
    event_type="price_change",
    schema=f"""
        {FACT_SCHEMA},
        price_cents BIGINT NOT NULL COMMENT 'new shelf price of one unit, minor units of currency',
        currency    STRING NOT NULL COMMENT 'ISO 4217 code'
    """,
    cluster_by=("item_id", "region", "occurred_at"),
    checks=(
        *FACT_CHECKS,
        not_null("price_cents"),
        between("price_cents", 1, MAX_CENTS),
        not_null("currency"),
        one_of("currency", CURRENCIES, "currency_unknown"),
    ),
)


def price_changes(events: DataFrame) -> DataFrame:
    """The price events, typed."""
    return events.select(*FACT_COLUMNS, "price_cents", "currency")
