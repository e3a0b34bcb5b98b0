"""One definition of a check, two uses: it splits the rows, and Great Expectations agrees."""

import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from given import event
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines import lake_commands
from pipelines.bronze.events import EVENTS
from pipelines.errors import CheckError
from pipelines.io.lake import table_path
from pipelines.io.quality import docs_context, validate, validate_tables
from pipelines.io.read import read, version_of
from pipelines.io.write import write
from pipelines.registry import SILVER_EVENTS, transformation
from pipelines.settings import Settings
from pipelines.silver.clicks import CLICKS
from pipelines.silver.event import MAX_CENTS, typed_events
from pipelines.silver.items import ITEMS
from pipelines.silver.quality import QUALITY
from pipelines.table import Check, Table, not_null

Rows = Callable[[Table, Iterable[dict[str, Any]]], DataFrame]
Add = Callable[..., None]

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
    {"category": ""},
    {"category": "x" * 129},
    {"category": "\u4e2d" * 128},
]
OWN: dict[str, list[dict[str, object]]] = {
    "click": [
        {"region": None},
        {"region": "a\tb"},
        {"customer_id": "x" * 600},
        {"session_id": None},
        {"session_id": ""},
        {"session_id": "x" * 129},
    ],
    "purchase": [
        {"region": None, "basket_id": None},
        {"region": "\u202eb", "basket_id": "line\n"},
        {"customer_id": ""},
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
        {"region": ""},
        {"price_cents": 0},
        {"price_cents": None},
        {"price_cents": MAX_CENTS + 1},
        {"currency": "EURO"},
        {"currency": "ZZZ"},
        {"currency": "HRK"},
        {"currency": None},
    ],
    "inventory_change": [
        {"region": None},
        {"region": ""},
        {"delta_quantity": None},
        {"delta_quantity": 1_000_000_001},
        {"delta_quantity": -1_000_000_000},
    ],
    "promotion": [
        {"region": None},
        {"region": ""},
        {"placement": None},
        {"placement": ""},
        {"placement": "Display"},
        {"duration_days": None},
        {"duration_days": 0},
        {"duration_days": 367},
    ],
    "impression": [
        {"region": None},
        {"region": ""},
        *({name: None} for name in ("customer_id", "experiment", "arm", "model_version")),
        *({name: ""} for name in ("customer_id", "experiment", "model_version")),
        {"arm": "control"},
        {"challenger_permille": None},
        {"challenger_permille": 0},
        {"challenger_permille": 1000},
        {"challenger_permille": "many"},
        {"items": None},
        {"items": "i1"},
        {"attributes": None},
        {"attributes": [1]},
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
    rows = candidates.where(F.col("table_name") == table.name)
    split = Counter(reason for row in rows.select("reasons").collect() for reason in row["reasons"])
    codes = {check.reason for check in table.checks}
    assert len(codes) == len(table.checks), "two checks share a reason code"
    as_they_would_stand = transformation(table)(rows).drop("attributes")
    validated = validate(as_they_would_stand, table.name, table.checks, context)
    assert validated.failures == {code: split[code] for code in codes}
    assert not validated.ok
    untested = {code for code in codes if not split[code]}
    assert untested == set(), "give an event that breaks it"


@pytest.fixture
def add(rows: Rows, lake: Settings) -> Add:
    """Commit valid rows to a table, one for each number."""

    def commit(table: Table, *numbers: int, **fields: object) -> None:
        given = [
            {
                "event_id": str(uuid.UUID(int=number)),
                "occurred_at": datetime(2017, 3, 1) + timedelta(days=number),
                "item_id": "i1",
                "payload_hash": number,
                "source": "s",
                "source_partition": 0,
                "source_offset": number,
                "region": "north",
                "session_id": "s1",
                "title": "Milk",
                **fields,
            }
            for number in numbers
        ]
        write(rows(table, given).coalesce(1), lake, table)

    return commit


def test_what_was_committed_since_the_last_time_is_validated_and_its_trend_kept(
    spark: SparkSession, lake: Settings, add: Add
) -> None:
    shown: list[int] = []

    def run(full: bool = False) -> list[tuple[str, int]]:
        results, page = validate_tables(spark, lake, SILVER_EVENTS, full=full)
        assert all(result.ok for result in results)
        pages = list((page.parent / "validations").rglob("*.html"))
        assert len(pages) == (len(results) or shown[-1])
        assert all(result.table in page.read_text() for result in results)
        shown.append(len(pages))
        return [(result.table, result.rows) for result in results]

    add(CLICKS, 1)
    add(ITEMS, 2)
    assert run() == [("silver.clicks", 1), ("silver.items", 1)]
    assert run() == []
    add(CLICKS, 3, 4)
    add(CLICKS, 5)
    assert run() == [("silver.clicks", 3)]
    add(ITEMS, 6)  # replaces what stands
    add(ITEMS, 7, item_id="i2")
    assert run() == [("silver.items", 2)]
    assert run(full=True) == [("silver.clicks", 4), ("silver.items", 2)]

    trend = read(spark, lake, QUALITY.name)
    assert trend.where("NOT success OR failures > 0").isEmpty()
    spans = trend.where("table_name = 'silver.clicks'").collect()
    by_run = {(row["from_version"], row["to_version"], row["rows"]) for row in spans}
    assert by_run == {(0, 1, 1), (2, 3, 3), (0, 3, 4)}  # version 0 made the table
    checks = {check.reason for check in CLICKS.checks}
    assert Counter(row["reason"] for row in spans) == dict.fromkeys(checks, len(by_run))


def test_broken_row_that_got_in_is_found_once_and_stays_in_the_trend(
    spark: SparkSession, lake: Settings, add: Add
) -> None:
    add(CLICKS, 1, 2)
    lake_commands.validate(root=lake.root)
    add(CLICKS, 3, item_id="a b")
    with pytest.raises(CheckError, match=r"silver\.clicks', 'item_id_malformed', 1"):
        lake_commands.validate(root=lake.root)
    failed = read(spark, lake, QUALITY.name).where("NOT success").collect()
    assert [(row["reason"], row["rows"], row["failures"]) for row in failed] == [
        ("item_id_malformed", 1, 1)
    ]
    lake_commands.validate(root=lake.root)
    with pytest.raises(CheckError, match="item_id_malformed"):
        lake_commands.validate(root=lake.root, full=True)


def test_rewritten_files_are_nothing_new_and_changes_that_may_be_gone_are_not_asked_for(
    spark: SparkSession, lake: Settings, add: Add
) -> None:
    def run() -> list[tuple[int, int]]:
        results, _ = validate_tables(spark, lake, [CLICKS])
        return [(result.from_version, result.rows) for result in results]

    add(CLICKS, 1)
    add(CLICKS, 2)
    assert run() == [(0, 2)]
    validated = version_of(spark, lake, CLICKS.name)
    spark.sql(f"OPTIMIZE delta.`{table_path(lake, CLICKS.name)}`")
    assert version_of(spark, lake, CLICKS.name) > validated, "nothing was rewritten"
    assert run() == [(validated + 1, 0)]
    add(CLICKS, 3)
    newest = version_of(spark, lake, CLICKS.name)
    log = Path(table_path(lake, CLICKS.name)) / "_delta_log" / f"{newest:020}.json"
    beyond = log.stat().st_mtime - lake.maintain.retention_hours * 3600 - 1
    os.utime(log, (beyond, beyond))
    assert run() == [(0, 3)]


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
