"""silver.impressions: one row per list of recommendations that a customer of an experiment got."""

from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from pipelines.silver.event import FACT_CHECKS, FACT_COLUMNS, FACT_SCHEMA, short_text
from pipelines.table import Check, Table, between, not_null, one_of

ARMS = ("champion", "challenger")
# Column -> its attribute of the event, and type. As fields of every event they would have cost
# each of a shop's millions of clicks, for the few lists of an experiment.
_GIVEN = {
    "experiment": ("experiment", "STRING"),
    "arm": ("arm", "STRING"),
    "model_version": ("model_version", "STRING"),
    "challenger_permille": ("challenger_permille", "BIGINT"),
    "item_ids": ("items", "ARRAY<STRING>"),
}


def _given(column: str) -> str:
    name, kind = _GIVEN[column]
    return f"try_variant_get(attributes, '$.{name}', '{kind}')"


def _asked_of_the_event(check: Check) -> Check:
    """The check of a column that the event has among its attributes."""
    column = check.arguments["column"]
    return replace(check, condition=check.condition.replace(column, _given(column), 1))


IMPRESSIONS = Table(
    name="silver.impressions",
    comment="One row per list of recommendations that a customer of an experiment got.",
    event_type="impression",
    schema=f"""
        {FACT_SCHEMA},
        customer_id         STRING NOT NULL COMMENT 'who got the list',
        experiment          STRING NOT NULL COMMENT 'its name',
        arm                 STRING NOT NULL COMMENT 'champion or challenger: whose list it was',
        model_version       STRING NOT NULL COMMENT 'the version of that model',
        challenger_permille BIGINT NOT NULL COMMENT 'customers in 1000 who get the challenger',
        item_ids            ARRAY<STRING> NOT NULL COMMENT 'the items of the list, the first first'
    """,
    cluster_by=("experiment", "customer_id"),
    checks=(
        *FACT_CHECKS,
        not_null("customer_id"),
        short_text("customer_id"),
        *map(
            _asked_of_the_event,
            (
                not_null("experiment"),
                short_text("experiment"),
                not_null("arm"),
                one_of("arm", ARMS, "arm_unknown"),
                not_null("model_version"),
                short_text("model_version"),
                not_null("challenger_permille"),
                between("challenger_permille", 1, 999),
                not_null("item_ids"),
            ),
        ),
    ),
)


def impressions(events: DataFrame) -> DataFrame:
    """The impression events, typed."""
    given = (F.expr(_given(column)).alias(column) for column in _GIVEN)
    return events.select(*FACT_COLUMNS, "customer_id", *given)
