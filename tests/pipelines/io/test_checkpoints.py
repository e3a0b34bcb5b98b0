"""A checkpoint that would lose or repeat events stops the stream and says how to go on."""

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from given import event
from pyspark.sql import SparkSession
from topics import recreate_topic

from pipelines.bronze.events import EVENTS
from pipelines.errors import SourceError
from pipelines.io.checkpoints import SILVER, bronze_stream
from pipelines.io.ingest import Ingested, ingest
from pipelines.io.lake import checkpoint_path, open_lake, table_path
from pipelines.io.read import read
from pipelines.settings import Settings, load_settings
from pipelines.sources.connection import Kafka
from pipelines.sources.topic import ensure_topic
from pipelines.table import ORIGIN

RESUME = "lakehouse ingest --resume-from-bronze"


def send(settings: Settings, first: int, last: int) -> None:
    """Clicks of these numbers, every other one in partition 0."""
    kafka = settings.source.kafka
    ensure_topic(kafka.bootstrap_servers, kafka.topic, 2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(first, last):
        payload = json.dumps(event("click", number)).encode()
        producer.produce(kafka.topic, payload, partition=number % 2)
    assert producer.flush(20) == 0


def run(spark: SparkSession, settings: Settings, **how: Any) -> Ingested:
    return ingest(spark, settings, lambda stage, count: None, **how)


def refusal(spark: SparkSession, settings: Settings) -> str:
    """The line with which `ingest` refuses; nothing in the lake has changed by it."""
    before = commits(settings)
    with pytest.raises(SourceError) as caught:
        run(spark, settings)
    assert commits(settings) == before
    line = str(caught.value)
    assert "\n" not in line
    return line


def commits(settings: Settings) -> list[Path]:
    """The commits that added rows to any table."""
    found = Path(settings.root).rglob("_delta_log/*.json")
    return sorted(file for file in found if '{"add":' in file.read_text())


def assert_each_once(spark: SparkSession, settings: Settings, count: int) -> None:
    """Every event, each with an id of its own, is once in bronze and once in its table."""
    for name in (EVENTS.name, "silver.clicks"):
        rows = read(spark, settings, name).select(*ORIGIN).collect()
        assert len(rows) == len(set(rows)) == count, name


def checkpoint(settings: Settings, stream: str = "") -> Path:
    return Path(checkpoint_path(settings, stream or bronze_stream(settings)))


def drop(file: Path) -> None:
    file.unlink()
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def once_read(
    spark: SparkSession, broker: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    """Nine clicks in three batches of each stream, and in the topic three more."""
    root = tmp_path_factory.mktemp("checkpoints") / "lake"
    settings = on_topic(root, broker, f"topic-{uuid.uuid4()}")
    for first in (0, 3, 6):
        send(settings, first, first + 3)
        run(spark, settings)
    send(settings, 9, 12)
    return settings


def on_topic(root: Path, broker: Kafka, topic: str) -> Settings:
    servers = broker.settings.source.kafka.bootstrap_servers
    given = {"root": str(root), "source.kafka.topic": topic, "spark.shuffle_partitions": 2}
    settings = load_settings(overrides={**given, "source.kafka.bootstrap_servers": servers})
    open_lake(settings, create=True)
    return settings


@pytest.fixture
def read_lake(once_read: Settings, tmp_path: Path) -> Settings:
    """A copy that a test may damage; the topic it must leave as it is."""
    root = tmp_path / "lake"
    shutil.copytree(once_read.root, root)
    return once_read.model_copy(update={"root": str(root)})


def test_deleted_checkpoint_is_refused_and_resumed_after_the_newest_rows_of_bronze(
    spark: SparkSession, read_lake: Settings
) -> None:
    shutil.rmtree(checkpoint(read_lake))
    line = refusal(spark, read_lake)
    assert f"{bronze_stream(read_lake)} is gone, and bronze holds events" in line
    assert RESUME in line
    assert run(spark, read_lake, resume=True) == Ingested(bronze=3, silver=3)
    assert run(spark, read_lake) == Ingested(bronze=0, silver=0)
    assert_each_once(spark, read_lake, 12)


def test_resuming_a_sound_stream_loses_nothing_and_keeps_the_old_checkpoint(
    spark: SparkSession, read_lake: Settings
) -> None:
    notes: list[str] = []
    assert run(spark, read_lake, resume=True, note=notes.append) == Ingested(bronze=3, silver=3)
    (note,) = notes
    assert (Path(note.split()[-1]) / "metadata").is_file()
    assert_each_once(spark, read_lake, 12)


@pytest.mark.parametrize(
    ("gone", "missing"),
    [
        (["metadata"], "metadata"),
        (["offsets/1"], "offsets/1"),
        (["offsets/2"], "offsets/2"),
        (["offsets/0", "offsets/1", "offsets/2"], "offsets/*"),
        (["commits/1", "commits/2"], "commits/1"),
    ],
)
def test_checkpoint_that_lacks_a_file_is_refused_with_its_name(
    spark: SparkSession, read_lake: Settings, gone: list[str], missing: str
) -> None:
    for name in gone:
        drop(checkpoint(read_lake) / name)
    line = refusal(spark, read_lake)
    assert f"damaged: {missing} is missing" in line
    assert RESUME in line


def test_checkpoint_of_another_lake_is_refused(
    spark: SparkSession, read_lake: Settings, tmp_path: Path
) -> None:
    other = read_lake.model_copy(update={"root": str(tmp_path / "other")})
    open_lake(other, create=True)
    shutil.copytree(checkpoint(read_lake), checkpoint(other))
    line = refusal(spark, other)
    assert "of another lake or another time: it is at batch 2, bronze.events has none of" in line
    assert run(spark, other, resume=True) == Ingested(bronze=12, silver=12)
    assert_each_once(spark, other, 12)


def test_checkpoint_of_another_topic_is_refused(spark: SparkSession, read_lake: Settings) -> None:
    kafka = read_lake.source.kafka.model_copy(update={"topic": f"{read_lake.source.kafka.topic}-2"})
    source = read_lake.source.model_copy(update={"kafka": kafka})
    other = read_lake.model_copy(update={"source": source})
    send(other, 9, 11)
    shutil.copytree(checkpoint(read_lake), checkpoint(other))
    assert f"is of the topic {read_lake.source.kafka.topic}, not of" in refusal(spark, other)
    assert run(spark, other, resume=True) == Ingested(bronze=2, silver=2)
    assert_each_once(spark, other, 11)


def test_checkpoint_from_a_backup_is_refused_since_delta_would_skip_what_follows_it(
    spark: SparkSession, read_lake: Settings
) -> None:
    for log in ("offsets", "commits"):
        drop(checkpoint(read_lake) / log / "2")
    line = refusal(spark, read_lake)
    assert "another time: it is at batch 1, bronze.events has taken in batch 2; put it" in line
    assert RESUME in line


def test_silver_checkpoint_from_a_backup_is_refused_and_may_be_deleted(
    spark: SparkSession, read_lake: Settings
) -> None:
    folder = checkpoint(read_lake, SILVER)
    for log in ("offsets", "commits"):
        drop(folder / log / "2")
    says = r"at batch 1, silver\.batches has taken in batch 2; delete that folder and run again"
    with pytest.raises(SourceError, match=says):
        run(spark, read_lake)
    shutil.rmtree(folder)
    run(spark, read_lake)
    assert_each_once(spark, read_lake, 12)


def test_topic_recreated_with_more_events_than_were_read_is_refused(
    spark: SparkSession, kafka_lake: Settings
) -> None:
    send(kafka_lake, 0, 4)
    run(spark, kafka_lake)
    recreate_topic(kafka_lake)
    send(kafka_lake, 100, 140)
    line = refusal(spark, kafka_lake)
    assert "was deleted and made again" in line
    assert "source.kafka.topic" in line
    with pytest.raises(SourceError, match="was deleted and made again"):
        run(spark, kafka_lake, resume=True)


def test_expired_offsets_are_no_silent_gap(spark: SparkSession, kafka_lake: Settings) -> None:
    send(kafka_lake, 0, 4)
    run(spark, kafka_lake)
    send(kafka_lake, 4, 16)
    kafka = kafka_lake.source.kafka
    client = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    for deleted in client.delete_records([TopicPartition(kafka.topic, 0, 5)]).values():
        deleted.result(20)
    line = refusal(spark, kafka_lake)
    assert "have expired" in line
    assert RESUME in line
    notes: list[str] = []
    assert run(spark, kafka_lake, resume=True, note=notes.append) == Ingested(bronze=9, silver=9)
    assert "offsets 2 to 4 of partition 0 have expired: these 3 are not in the lake" in notes
    assert_each_once(spark, kafka_lake, 13)


def test_files_are_resumed_once_those_that_bronze_holds_are_out_of_the_way(
    spark: SparkSession, lake: Settings, tmp_path: Path, take_in: Any
) -> None:
    take_in(lake, [event("click", 0)])
    shutil.rmtree(checkpoint(lake))
    landing = Path(lake.root) / "landing"
    (landing / "b c.jsonl").write_text(json.dumps(event("click", 1)) + "\n")
    assert "is gone, and bronze holds events of files already" in refusal(spark, lake)
    with pytest.raises(SourceError, match=r"bronze holds 1 of the files in .*; move those out"):
        run(spark, lake, resume=True)
    (landing / "00000.jsonl").rename(tmp_path / "00000.jsonl")
    assert run(spark, lake, resume=True) == Ingested(bronze=1, silver=1)
    assert_each_once(spark, lake, 2)


def test_the_topic_that_bronze_was_read_from_is_noted_with_the_table(
    spark: SparkSession, read_lake: Settings
) -> None:
    path = table_path(read_lake, EVENTS.name)
    found = spark.sql(f"SHOW TBLPROPERTIES delta.`{path}`").collect()
    key = f"lakehouse.topic.{read_lake.source.kafka.topic}"
    assert [len(row["value"]) for row in found if row["key"] == key] == [22]
