"""Which events were sent before: checked against a plain model, hundreds of histories at once."""

from collections.abc import Iterable
from typing import NamedTuple

from expect import assert_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from pipelines.silver import duplicates
from pipelines.silver.duplicates import verdicts, with_id_hash, with_is_latest

SCHEMA = (
    "event_id STRING, table_name STRING, payload_hash BIGINT, source STRING, source_partition INT,"
    " source_offset BIGINT"
)


class Sent(NamedTuple):
    """One event by the columns of IDENTITY."""

    event_id: str
    table_name: str
    payload_hash: int
    source: str
    source_partition: int
    source_offset: int


Verdicts = set[tuple[str, int, str]]  # event_id, offset, verdict


def model(events: Iterable[Sent], known: Iterable[Sent]) -> Verdicts:
    """The first of an id by origin stands; what comes later is judged by its payload."""
    found: Verdicts = set()
    stands: dict[str, int] = {}
    for row in sorted(known, key=lambda r: r[3:]):
        stands.setdefault(row.event_id, row.payload_hash)
    for row in sorted(events, key=lambda r: r[3:]):
        if row.event_id in stands:
            same = stands[row.event_id] == row.payload_hash
            found.add((row.event_id, row.source_offset, "duplicate" if same else "conflict"))
        else:
            stands[row.event_id] = row.payload_hash
    return found


# A history: ids few enough to meet again, payloads few enough to agree or not.
ROW = st.tuples(
    st.integers(0, 2),  # id
    st.sampled_from(["silver.clicks", "silver.purchases"]),
    st.integers(0, 1),  # payload
    st.sampled_from(["a", "b"]),  # source
    st.integers(0, 1),  # partition
    st.booleans(),  # known
)
HISTORIES = st.lists(st.lists(ROW, min_size=1, max_size=6), min_size=150, max_size=250)


def frame(spark: SparkSession, rows: Iterable[Sent]) -> DataFrame:
    return spark.createDataFrame(list(rows), SCHEMA)


def found_by(events: DataFrame, known: DataFrame) -> Verdicts:
    rows = verdicts(events, known).collect()
    return {(row["event_id"], row["source_offset"], row["verdict"]) for row in rows}


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(histories=HISTORIES, order=st.randoms(use_true_random=False))
def test_verdicts_agree_with_a_plain_model(spark: SparkSession, histories, order) -> None:
    events: list[Sent] = []
    known: list[Sent] = []
    for number, history in enumerate(histories):
        for place, (id_, table, payload, source, partition, is_known) in enumerate(history):
            row = Sent(f"{number}-{id_}", table, payload, source, partition, number * 10 + place)
            standing = {r.event_id for r in known}
            # What stands has one row an id: the tables never show two.
            (known if is_known and row.event_id not in standing else events).append(row)
    order.shuffle(events)
    new, standing_rows = frame(spark, events), frame(spark, known)
    expected = model(events, known)
    assert found_by(new, standing_rows) == expected
    # Looking only at the rows that stand for the same ids gives the same verdicts.
    stand = duplicates.standing(with_id_hash(new), with_id_hash(standing_rows))
    assert found_by(new, stand) == expected


def test_the_known_row_stands_even_if_its_origin_is_later(spark: SparkSession) -> None:
    known = frame(spark, [Sent("e", "silver.clicks", 1, "z", 9, 99)])
    events = frame(spark, [Sent("e", "silver.clicks", 1, "a", 0, 0)])
    assert found_by(events, known) == {("e", 0, "duplicate")}


def test_an_event_that_stands_itself_is_only_seen(spark: SparkSession) -> None:
    stands = Sent("e", "silver.clicks", 1, "a", 0, 0)
    resent = Sent("e", "silver.clicks", 1, "a", 0, 1)
    events = frame(spark, [stands, resent])
    assert found_by(events, frame(spark, [stands])) == {("e", 0, "seen"), ("e", 1, "duplicate")}


def test_an_id_reused_in_another_table_is_a_conflict(spark: SparkSession) -> None:
    events = frame(
        spark,
        [Sent("e", "silver.clicks", 1, "a", 0, 0), Sent("e", "silver.purchases", 2, "a", 0, 1)],
    )
    assert found_by(events, frame(spark, [])) == {("e", 1, "conflict")}


def test_only_what_stands_for_an_id_of_the_batch_is_looked_at(spark: SparkSession) -> None:
    events = frame(spark, [Sent("a", "t", 1, "s", 0, 0), Sent("b", "t", 1, "s", 0, 1)])
    known = frame(spark, [Sent("b", "t", 1, "s", 0, 7), Sent("c", "t", 1, "s", 0, 8)])
    stand = duplicates.standing(with_id_hash(events), with_id_hash(known))
    assert_rows(stand, [{"event_id": "b", "source_offset": 7}])


def test_the_latest_of_a_key_is_one_row_whatever_ties(spark: SparkSession) -> None:
    rows = spark.createDataFrame(
        [
            ("i1", 1, "a", "s", 0, 0),
            ("i1", 2, "b", "s", 0, 1),
            ("i1", 2, "a", "s", 0, 2),
            ("i2", 1, "a", "s", 0, 3),
            ("i2", 1, "a", "s", 0, 4),
            ("i3", None, "a", "s", 0, 5),
        ],
        "item_id STRING, at INT, event_id STRING, source STRING, source_partition INT,"
        " source_offset BIGINT",
    )
    latest = with_is_latest(rows, ("item_id",), ("at", "event_id")).where("is_latest")
    assert_rows(
        latest,
        [
            {"item_id": "i1", "source_offset": 1},
            {"item_id": "i2", "source_offset": 4},
            {"item_id": "i3", "source_offset": 5},
        ],
    )
