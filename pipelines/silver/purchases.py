"""silver.purchases: one row per product line of a basket."""

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.silver.currencies import CURRENCIES
from pipelines.silver.event import FACT_CHECKS, FACT_COLUMNS, FACT_SCHEMA, MAX_CENTS, short_text
from pipelines.table import Table, between, not_null, one_of

# What `purchases` makes of the amount, so that no sum over it can overflow.
AMOUNT = "coalesce(amount_cents, try_multiply(quantity, price_cents))"

PURCHASES = Table(
    name="silver.purchases",
    comment="One row per product line of a basket.",
    event_type="purchase",
    schema=f"""
        {FACT_SCHEMA},
        customer_id  STRING COMMENT 'who bought; null for a guest',
        basket_id    STRING NOT NULL COMMENT 'the basket in which it was bought',
        quantity     BIGINT NOT NULL COMMENT 'units bought',
        price_cents  BIGINT NOT NULL COMMENT 'shelf price of one unit, minor units of currency',
        amount_cents BIGINT NOT NULL COMMENT 'paid for the line, minor units of currency',
        currency     STRING NOT NULL COMMENT 'ISO 4217 code'
    """,
    cluster_by=("category", "region", "occurred_at"),
    checks=(
        *FACT_CHECKS,
        short_text("customer_id"),
        not_null("basket_id"),
        short_text("basket_id"),
        not_null("quantity"),
        between("quantity", 1, 1_000_000),
        not_null("price_cents"),
        between("price_cents", 0, MAX_CENTS),
        replace(
            between("amount_cents", 0, MAX_CENTS),
            condition=f"coalesce({AMOUNT} BETWEEN 0 AND {MAX_CENTS}, true)",
        ),
        not_null("currency"),
        one_of("currency", CURRENCIES, "currency_unknown"),
    ),
)


def purchases(events: DataFrame) -> DataFrame:
    """The purchase events, typed; a line without an amount costs quantity x price."""
    return events.select(
        *FACT_COLUMNS,
        "customer_id",
        "basket_id",
        "quantity",
        "price_cents",
        F.expr(AMOUNT).alias("amount_cents"),
        "currency",
    )
