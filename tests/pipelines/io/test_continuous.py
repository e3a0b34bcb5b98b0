"""Two streams that run until stopped, tell how they are doing, and are maintained meanwhile."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer
from given import event
from pyspark.sql import SparkSession

import pipelines.io.ingest
from pipelines.errors import SourceError
from pipelines.io import stream_report
from pipelines.io.checkpoints import SILVER
from pipelines.io.ingest import ingest, ingest_continuously
from pipelines.io.lake import checkpoint_path
from pipelines.io.read import read
from pipelines.io.silver_facts import silver_facts
from pipelines.settings import Settings
from pipelines.silver.documents import DOCUMENTS
from pipelines.sources.topic import ensure_topic
from pipelines.streams import StreamState, load_streams


class Stopped(Exception):
    """As a signal does, it ends a command from within."""


def streams(settings: Settings) -> dict[str, StreamState]:
    return {stream.stream: stream for stream in load_streams(settings.state)}


def send(settings: Settings, *events: object) -> None:
    kafka = settings.source.kafka
    ensure_topic(kafka.bootstrap_servers, kafka.topic, 2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number, sent in enumerate(events):
        producer.produce(kafka.topic, json.dumps(sent).encode(), partition=number % 2)
    assert producer.flush(20) == 0


def land(settings: Settings, name: str, *events: object) -> None:
    text = "".join(json.dumps(e) + "\n" for e in events)
    (Path(settings.root) / "landing" / name).write_text(text)


def run_until(
    spark: SparkSession,
    settings: Settings,
    done: Callable[[dict[str, StreamState]], bool],
    note: Callable[[str], None] = lambda _: None,
) -> None:
    """A continuous ingest that is stopped when the streams' own reports say so."""

    def progress(_stage: str, _rows: int) -> None:
        if done(streams(settings)):
            raise Stopped

    with pytest.raises(Stopped):
        ingest_continuously(spark, settings, progress, note=note)


def test_batch_is_bounded_and_what_is_left_is_the_lag(
    spark: SparkSession, kafka_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines.io.ingest, "CONTINUOUS_INTERVAL", "1 hour")  # one batch
    few = kafka_lake.source.kafka.model_copy(update={"max_offsets_per_trigger": 4})
    source = kafka_lake.source.model_copy(update={"kafka": few})
    send(kafka_lake, *(event("click", n) for n in range(8)))
    seen: list[StreamState] = []

    def done(found: dict[str, StreamState]) -> bool:
        seen.append(found["bronze"])
        return found["bronze"].rows > 0

    run_until(spark, kafka_lake.model_copy(update={"source": source}), done)
    assert {s.condition for s in seen} == {"running"}
    bronze = seen[-1]
    assert (bronze.rows, bronze.lag, bronze.lag_unit) == (4, 4, "offsets")
    assert bronze.batch_seconds > 0
    assert bronze.rows_per_second > 0


def test_streams_report_what_became_of_their_rows(
    spark: SparkSession, kafka_lake: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_report, "FACTS_EVERY_S", 0)
    broken = event("purchase", 7, quantity=0)
    send(kafka_lake, *(event("click", n) for n in range(5)), event("click", 1), broken)

    def done(found: dict[str, StreamState]) -> bool:
        silver = found["silver"]
        return sum(silver.outcomes.values()) == 7 and silver.lag == 0

    run_until(spark, kafka_lake, done)
    bronze, silver = streams(kafka_lake)["bronze"], streams(kafka_lake)["silver"]
    assert (bronze.rows, bronze.lag, bronze.condition) == (7, 0, "ended")
    assert (silver.rows, silver.lag_unit, silver.condition) == (7, "rows", "ended")
    assert silver.outcomes == {"valid": 5, "rejected": 1, "duplicate": 1, "late": 0, "seen": 0}


def test_next_run_counts_on_and_rows_after_an_offset_are_silvers_lag(
    spark: SparkSession, lake: Settings
) -> None:
    for number in range(3):
        land(lake, f"{number}.jsonl", *(event("click", 10 * number + n) for n in range(number + 1)))
        ingest(spark, lake, lambda stage, count: None)
    found = streams(lake)
    assert [(found[name].rows, found[name].condition) for name in ("bronze", "silver")] == [
        (6, "ended"),
        (6, "ended"),
    ]
    assert found["silver"].outcomes["valid"] == 6
    offsets = Path(checkpoint_path(lake, SILVER)) / "offsets"
    reached = [(offsets / str(n)).read_text().splitlines()[-1] for n in (1, 2)]
    assert [silver_facts(spark, lake, offset).lag for offset in reached] == [3, 0]


def test_stream_that_fails_ends_the_other_and_says_why(spark: SparkSession, lake: Settings) -> None:
    files = lake.source.files.model_copy(update={"format": "parquet"})
    lake = lake.model_copy(update={"source": lake.source.model_copy(update={"files": files})})
    (Path(lake.root) / "landing" / "torn.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(SourceError) as caught:
        ingest_continuously(spark, lake, lambda stage, count: None)
    assert "torn.parquet" in str(caught.value)
    found = streams(lake)
    assert (found["bronze"].condition, found["bronze"].error) == ("failed", str(caught.value))
    assert found["silver"].condition == "ended"


def test_documents_are_taken_in_and_tables_compacted_beside_the_streams(
    spark: SparkSession, lake: Settings
) -> None:
    """One document was there, and one lands meanwhile."""
    few = lake.maintain.model_copy(update={"every_s": 0.2, "max_small_files": 2})
    often = lake.documents.model_copy(update={"every_s": 0.2})
    one_by_one = lake.source.files.model_copy(update={"max_files_per_trigger": 1})
    source = lake.source.model_copy(update={"files": one_by_one})
    lake = lake.model_copy(update={"maintain": few, "documents": often, "source": source})
    for number in range(4):
        land(lake, f"{number}.jsonl", event("click", number))
    reviews = Path(lake.root) / "documents" / "reviews" / "i1"
    reviews.mkdir(parents=True)
    (reviews / "a.txt").write_text("Good")
    notes: list[str] = []

    def done(found: dict[str, StreamState]) -> bool:
        documents = found.get("documents")
        if not documents or not documents.rows:
            return False
        if not (reviews / "b.txt").exists():
            (reviews / ".b.txt").write_text("Bad")
            (reviews / ".b.txt").rename(reviews / "b.txt")
        assert documents.condition == "running"
        is_compact = any("bronze.events" in note for note in notes)
        return documents.rows == 2 and found["silver"].rows == 4 and is_compact

    run_until(spark, lake, done, note=notes.append)
    (told,) = [note for note in notes if note.startswith("bronze.events")]
    assert "files to 1" in told
    assert not [note for note in notes if "failed" in note]
    assert read(spark, lake, "bronze.events").count() == 4
    assert read(spark, lake, "silver.clicks").count() == 4
    assert {row["text"] for row in read(spark, lake, DOCUMENTS.name).collect()} == {"Good", "Bad"}
    assert streams(lake)["documents"].condition == "ended"
