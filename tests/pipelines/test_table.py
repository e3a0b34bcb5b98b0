"""What a table says of itself, and what its checks let pass."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.silver.purchases import PURCHASES
from pipelines.table import (
    ORIGIN,
    Table,
    between,
    between_times,
    matches,
    not_null,
    one_of,
    quarantine_of,
)


def test_name_splits_into_layer_and_noun() -> None:
    table = Table(name="silver.clicks", comment="One row per click.", schema="a INT")
    assert (table.layer, table.short_name) == ("silver", "clicks")


def test_columns_are_read_from_the_schema_in_order() -> None:
    schema = """
        item_id    STRING NOT NULL COMMENT 'the item, INT by habit',
        attributes VARIANT COMMENT 'open',
        prices     ARRAY<STRING> COMMENT 'all of them'
    """
    table = Table(name="silver.x", comment="One row.", schema=schema)
    assert table.columns == ("item_id", "attributes", "prices")


def test_quarantine_keeps_the_reasons_the_bytes_and_the_origin() -> None:
    quarantine = quarantine_of(PURCHASES)
    assert quarantine.name == "silver.purchases_quarantine"
    assert {"reasons", "payload", *ORIGIN} <= set(quarantine.columns)


CHECKS = {
    "not_null": not_null("text"),
    "between": between("number", 1, 3),
    "between_times": between_times("at", "1990-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
    "matches": matches("text", r"[A-Z]{3}|it's\d", "bad"),
    "one_of": one_of("text", ("USD", "EUR"), "bad"),
}


@pytest.mark.parametrize(
    ("check", "column", "passing", "failing"),
    [
        ("not_null", "text", ["", "a"], [None]),
        ("between", "number", [1, 3, None], [0, 4, -1]),
        ("between_times", "at", ["1990-01-01", "2100-01-01", None], ["1989-12-31", "2100-01-02"]),
        ("matches", "text", ["USD", "it's7", None], ["USD\n", "USDX", " USD", "usd", "", "XUSD"]),
        ("one_of", "text", ["USD", "EUR", None], ["USD\n", "usd", "", "USD, EUR", "U"]),
    ],
)
def test_checks_pass_what_they_name_and_are_never_null(
    spark: SparkSession, check: str, column: str, passing: list[object], failing: list[object]
) -> None:
    types = {"text": "STRING", "number": "BIGINT", "at": "STRING"}
    given = spark.createDataFrame(
        [(value, True) for value in passing] + [(value, False) for value in failing],
        f"{column} {types[column]}, expected BOOLEAN",
    )
    if column == "at":
        given = given.withColumn("at", F.col("at").cast("timestamp"))
    wrong = given.where(~F.expr(CHECKS[check].condition).eqNullSafe(F.col("expected")))
    assert wrong.collect() == []


def test_checks_carry_a_reason_that_names_the_column() -> None:
    assert not_null("a").reason == "a_missing"
    assert between("a", 1, 2).reason == "a_out_of_range"
    assert matches("a", "x", "a_odd").reason == "a_odd"
