"""One definition of a check, two uses: it splits the rows, and Great Expectations agrees."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from given import event
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.errors import CheckError
from pipelines.io.quality import docs_context, validate, validate_tables
from pipelines.registry import SILVER_EVENTS, transformation
from pipelines.settings import Settings
from pipelines.silver.event import MAX_CENTS, typed_events
from pipelines.table import Check, Table, not_null

FACTS: list[dict[str, object]] = [
    {},
    {"event_id": None},
    {"event_id": "not-a-uuid"},
    {"occurred_at": "yesterday"},
    {"occurred_at": "1989-12-31T23:59:59Z"},
    {"occurred_at": "1990-01-01T00:00:00Z"},
    {"occurred_at": "2100-01-01T00:00:00Z"},
    {"occurred_at": "2100-01-01T00:00:00.000001Z"},
    {"item_id": None},
    {"item_id": ""},
    {"item_id": "a b"},
    {"item_id": "x" * 129},
    {"item_id": "line\n"},
    {"event_id": "nope", "item_id": "a b"},
]
OWN: dict[str, list[dict[str, object]]] = {
    "click": [
        {"region": None},
        {"session_id": None},
        {"session_id": ""},
        {"session_id": "x" * 129},
    ],
    "purchase": [
        {"region": None, "basket_id": None},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 1_000_001},
        {"quantity": None},
        {"price_cents": None},
        {"price_cents": -1},
        {"price_cents": 0},
        {"price_cents": MAX_CENTS + 1},
        {"amount_cents": -1},
        {"currency": "usd"},
        {"currency": "USDX"},
        {"currency": None},
    ],
    "price_change": [
        {"region": None},
        {"price_cents": 0},
        {"price_cents": None},
        {"price_cents": MAX_CENTS + 1},
        {"currency": "EURO"},
        {"currency": None},
    ],
    "inventory_change": [
        {"region": None},
        {"delta_quantity": None},
        {"delta_quantity": 1_000_000_001},
        {"delta_quantity": -1_000_000_000},
    ],
    "item_upsert": [{"title": None}],
}


@pytest.fixture(scope="module")
def candidates(spark: SparkSession) -> DataFrame:
    """Typed events, good and bad, of every table."""
    given = [
        event(kind, number, **fields)
        for kind, own in OWN.items()
        for number, fields in enumerate([*FACTS, *own])
    ]
    bronze = spark.createDataFrame(
        [("t", 0, n, bytearray(json.dumps(e).encode())) for n, e in enumerate(given)],
        "source STRING, source_partition INT, source_offset BIGINT, payload BINARY",
    ).withColumn("produced_at", F.lit(None).cast("timestamp"))
    assert set(bronze.columns) == set(EVENTS.columns)
    return typed_events(bronze, SILVER_EVENTS).localCheckpoint()


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return docs_context(tmp_path_factory.mktemp("docs"))


@pytest.mark.parametrize("table", SILVER_EVENTS, ids=lambda table: table.short_name)
def test_great_expectations_refuses_what_the_split_refuses(
    candidates: DataFrame, context: Any, table: Table
) -> None:
    rows = candidates.where(F.col("table_name") == table.name).drop("attributes")
    split = Counter(reason for row in rows.collect() for reason in row["reasons"])
    codes = {check.reason for check in table.checks}
    assert len(codes) == len(table.checks), "two checks share a reason code"
    as_they_would_stand = transformation(table)(rows.withColumn("attributes", F.lit(None)))
    validated = validate(as_they_would_stand.drop("attributes"), table.name, table.checks, context)
    assert validated.failures == {code: split[code] for code in codes}
    assert not validated.ok
    untested = {code for code in codes if not split[code]}
    assert untested == set(), "give an event that breaks it"


def test_committed_rows_pass_and_data_docs_are_written(
    spark: SparkSession,
    lake: Settings,
    take_in: Callable[[Settings, Iterable[object]], None],
) -> None:
    take_in(lake, [event("click", 1), event("click", 2, session_id=None), event("purchase", 3)])
    results, page = validate_tables(spark, lake, SILVER_EVENTS)
    assert [result.table for result in results] == [table.name for table in SILVER_EVENTS]
    assert all(result.ok for result in results)
    text = page.read_text()
    for table in SILVER_EVENTS:
        assert table.name in text
    assert len(list((page.parent / "validations").rglob("*.html"))) == len(SILVER_EVENTS)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(not_null("no_such_column"), id="unknown column"),
        pytest.param(
            Check("bad_regex", "true", "ExpectColumnValuesToMatchRegex",
                  {"column": "item_id", "regex": "("}),
            id="broken expression",
        ),
    ],
)  # fmt: skip
def test_check_that_cannot_be_evaluated_is_an_error(
    candidates: DataFrame, tmp_path: Path, broken: Check
) -> None:
    rows = candidates.select("event_id", "item_id")
    with pytest.raises(CheckError, match=f"{broken.reason} could not be evaluated"):
        validate(rows, "broken", (not_null("event_id"), broken), docs_context(tmp_path))
