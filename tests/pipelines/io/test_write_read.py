"""Tables by their declarations: created at the first write, each transaction once, no drift."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest
from delta.tables import DeltaTable
from py4j.protocol import Py4JError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.errors import LakeError
from pipelines.gold.recommendations import RECOMMENDATIONS
from pipelines.io.lake import table_path
from pipelines.io.read import (
    NOT_YET,
    exists,
    last_commit,
    read,
    schema_of,
    table_status,
    version_of,
)
from pipelines.io.write import Transaction, write
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.items import ITEMS
from pipelines.table import Table

Rows = Callable[[Table, Iterable[dict[str, Any]]], DataFrame]

DROPPED = {
    "event_id": "e1",
    "table_name": "silver.clicks",
    "reason": "duplicate",
    "source": "t",
    "source_partition": 0,
    "source_offset": 1,
}
ITEM = {
    "event_id": "e1",
    "occurred_at": datetime(2017, 3, 1, tzinfo=UTC),
    "item_id": "i1",
    "payload_hash": 1,
    "source": "t",
    "source_partition": 0,
    "source_offset": 1,
    "title": "Milk",
}


def test_table_that_nothing_was_written_to_is_empty(spark: SparkSession, lake: Settings) -> None:
    assert not exists(spark, lake, ITEMS.name)
    assert version_of(spark, lake, ITEMS.name) == NOT_YET
    assert table_status(spark, lake, [ITEMS.name]) == []
    found = read(spark, lake, ITEMS.name)
    assert found.schema == schema_of(ITEMS)
    assert found.isEmpty()


def test_unknown_table_says_what_to_do(spark: SparkSession, lake: Settings) -> None:
    with pytest.raises(LakeError, match=r"gold\.sales_hourly does not exist yet; run"):
        read(spark, lake, "gold.sales_hourly")


def test_first_write_makes_the_table_as_declared(
    spark: SparkSession, lake: Settings, rows: Rows
) -> None:
    write(rows(ITEMS, [ITEM]), lake, ITEMS)
    detail = DeltaTable.forPath(spark, table_path(lake, ITEMS.name)).detail().first()
    assert detail is not None
    assert detail["clusteringColumns"] == list(ITEMS.cluster_by)
    assert detail["properties"]["delta.enableChangeDataFeed"] == "true"
    assert read(spark, lake, ITEMS.name).schema.fieldNames() == list(ITEMS.columns)
    (status,) = table_status(spark, lake, [ITEMS.name, DROPPED_EVENTS.name])
    assert (status.name, status.rows) == (ITEMS.name, 1)


def test_append_repeated_under_one_transaction_is_applied_once(
    spark: SparkSession, lake: Settings, rows: Rows
) -> None:
    one = rows(DROPPED_EVENTS, [DROPPED])
    for transaction in (Transaction("a", 0), Transaction("a", 0), Transaction("b", 0)):
        write(one, lake, DROPPED_EVENTS, transaction=transaction)
    assert read(spark, lake, DROPPED_EVENTS.name).count() == 2
    write(one, lake, DROPPED_EVENTS, transaction=Transaction("a", 1))
    write(one, lake, DROPPED_EVENTS)
    assert read(spark, lake, DROPPED_EVENTS.name).count() == 4


def test_upsert_repeated_under_one_transaction_is_applied_once(
    spark: SparkSession, lake: Settings, rows: Rows
) -> None:
    write(rows(ITEMS, [ITEM]), lake, ITEMS, transaction=Transaction("a", 0))
    write(rows(ITEMS, [ITEM | {"title": "Not"}]), lake, ITEMS, transaction=Transaction("a", 0))
    assert [row["title"] for row in read(spark, lake, ITEMS.name).collect()] == ["Milk"]
    write(rows(ITEMS, [ITEM | {"title": "Oat"}]), lake, ITEMS, transaction=Transaction("a", 1))
    assert [row["title"] for row in read(spark, lake, ITEMS.name).collect()] == ["Oat"]
    # The transaction ends with its merge: later ones without a transaction are applied.
    write(rows(ITEMS, [ITEM | {"title": "Soy"}]), lake, ITEMS)
    assert [row["title"] for row in read(spark, lake, ITEMS.name).collect()] == ["Soy"]


@pytest.mark.parametrize("table", [DROPPED_EVENTS, ITEMS], ids=["append", "upsert"])
def test_write_that_was_applied_before_is_told(
    spark: SparkSession, lake: Settings, rows: Rows, table: Table
) -> None:
    """Whatever else was committed since."""
    row = {**ITEM, **DROPPED}
    given = rows(table, [{name: row[name] for name in row.keys() & set(table.columns)}])
    again = Transaction("a", 3, may_repeat=True)
    assert write(given, lake, table, transaction=again)
    assert write(given, lake, table, transaction=Transaction("b", 0, may_repeat=True))
    before = version_of(spark, lake, table.name)
    assert not write(given, lake, table, transaction=again)
    assert not write(given, lake, table, transaction=Transaction("a", 2, may_repeat=True))
    assert version_of(spark, lake, table.name) == before
    assert write(given, lake, table, transaction=Transaction("a", 4, may_repeat=True))


def test_overwrite_replaces_all_rows_and_keeps_the_version_before(
    spark: SparkSession, lake: Settings, rows: Rows
) -> None:
    many = [{"customer_id": f"c{n}", "rank": 1} for n in range(3)]
    complete = [_complete(RECOMMENDATIONS, row) for row in many]
    write(rows(RECOMMENDATIONS, complete), lake, RECOMMENDATIONS)
    before = version_of(spark, lake, RECOMMENDATIONS.name)
    write(rows(RECOMMENDATIONS, complete[:1]), lake, RECOMMENDATIONS, metadata="why")
    assert read(spark, lake, RECOMMENDATIONS.name).count() == 1
    assert read(spark, lake, RECOMMENDATIONS.name, version=before).count() == 3
    assert last_commit(spark, lake, RECOMMENDATIONS.name)["userMetadata"] == "why"


@pytest.mark.parametrize("table", [DROPPED_EVENTS, ITEMS], ids=["append", "upsert"])
def test_schema_drift_is_refused(
    spark: SparkSession, lake: Settings, rows: Rows, table: Table
) -> None:
    given = rows(table, [DROPPED if table is DROPPED_EVENTS else ITEM])
    write(given, lake, table)
    before = version_of(spark, lake, table.name)
    drifted = {
        "another type": given.withColumn("event_id", F.array("event_id")),
        "a further column": given.withColumn("more", F.lit(1)),
        "a missing column": given.drop("source"),
        "another name": given.withColumnRenamed("source", "origin"),
    }
    for what, frame in drifted.items():
        with pytest.raises(LakeError, match=f"{table.name}: the rows do not fit its declaration"):
            write(frame, lake, table)
        assert version_of(spark, lake, table.name) == before, what
    with pytest.raises(Py4JError, match="NOT_NULL_CONSTRAINT"):
        write(given.withColumn("source", F.lit(None).cast("string")), lake, table)
    assert version_of(spark, lake, table.name) == before


def _complete(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    """The row with some value in each column that must have one."""
    some = {"string": "x", "bigint": 1, "int": 1, "double": 1.0, "float": 1.0}
    some["timestamp"] = datetime(2017, 3, 1, tzinfo=UTC)  # type: ignore[assignment]
    needed = {f.name: f.dataType.simpleString() for f in schema_of(table) if not f.nullable}
    return {name: some[kind] for name, kind in needed.items()} | row
