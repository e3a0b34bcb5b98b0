"""Counts, times and repeated ids of a batch, from the few bytes that are kept of each event."""

from datetime import datetime

from pyspark.sql import SparkSession

from pipelines.io.batch_keys import LATE, REFUSED, VALID, Part, keys_of, parts_of, repeated_ids

TABLES = ("bronze.events", "silver.clicks", "silver.purchases")
SCHEMA = "table_name STRING, outcome STRING, event_id STRING, occurred_at TIMESTAMP"


def day(number: int) -> datetime:
    return datetime(2026, 11, number)


def test_rows_and_times_are_counted_by_table_and_outcome(spark: SparkSession) -> None:
    events = spark.createDataFrame(
        [
            ("silver.clicks", VALID, "a", day(3)),
            ("silver.clicks", VALID, "b", day(1)),
            ("silver.clicks", VALID, "c", day(9)),
            ("silver.purchases", VALID, "d", day(5)),
            ("silver.purchases", LATE, "e", day(2)),
            ("bronze.events", REFUSED, None, None),
            ("bronze.events", REFUSED, "f", None),
        ],
        SCHEMA,
    )
    assert parts_of(keys_of(events, TABLES), TABLES) == {
        ("silver.clicks", VALID): Part(3, day(1), day(3), day(9)),
        ("silver.purchases", VALID): Part(1, day(5), day(5), day(5)),
        ("silver.purchases", LATE): Part(1),
        ("bronze.events", REFUSED): Part(2),
    }


def test_microseconds_of_a_time_are_kept(spark: SparkSession) -> None:
    at = datetime(2026, 11, 27, 23, 59, 59, 999999)
    keys = keys_of(spark.createDataFrame([("silver.clicks", VALID, "a", at)], SCHEMA), TABLES)
    assert parts_of(keys, TABLES) == {("silver.clicks", VALID): Part(1, at, at, at)}


def test_ids_of_several_valid_events_are_repeated_and_others_are_not(spark: SparkSession) -> None:
    events = spark.createDataFrame(
        [
            ("silver.clicks", VALID, "twice", day(1)),
            ("silver.purchases", VALID, "twice", day(1)),
            ("silver.clicks", VALID, "once", day(1)),
            ("silver.clicks", REFUSED, "once", day(1)),
            ("bronze.events", REFUSED, None, None),
            ("bronze.events", REFUSED, None, None),
        ],
        SCHEMA,
    )
    hashes = events.selectExpr("event_id", "xxhash64(event_id) AS id_hash").distinct().collect()
    of_id = {row["event_id"]: row["id_hash"] for row in hashes}
    assert repeated_ids(keys_of(events, TABLES)) == {of_id["twice"]}


def test_batch_without_events_has_no_parts(spark: SparkSession) -> None:
    keys = keys_of(spark.createDataFrame([], SCHEMA), TABLES)
    assert parts_of(keys, TABLES) == {}
    assert repeated_ids(keys) == set()
