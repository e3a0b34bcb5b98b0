"""What `benchmarks.ingest` compares: this pipeline, its peers, and the floors below them all."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.ingest import ingest
from pipelines.io.lake import open_lake
from pipelines.io.read import read
from pipelines.io.session import spark_session
from pipelines.memory import PeakMemory
from pipelines.registry import QUARANTINES, SILVER_EVENTS
from pipelines.settings import Settings, load_settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.event import FIELDS

SCHEMA = ", ".join(f"{name} {kind}" for name, kind in FIELDS.items())


@dataclass(frozen=True)
class Timed:
    """Seconds of the timed part, and the most memory that the process tree held."""

    seconds: float
    peak_mb: int


Run = Callable[[str, Path, str, str], Timed]  # servers, folder, warm-up topic, topic


def _timed(work: Callable[[str], None], warm_up: str, topic: str) -> Timed:
    work(warm_up)
    with PeakMemory() as memory:
        started = time.perf_counter()
        work(topic)
        seconds = time.perf_counter() - started
    return Timed(seconds, memory.peak_mb)


def _settings(servers: str, folder: Path, topic: str) -> Settings:
    given = {"source.kafka.bootstrap_servers": servers, "source.kafka.topic": topic}
    settings = load_settings(overrides={"root": str(folder / topic), **given})
    open_lake(settings, create=True)
    return settings


def ours(servers: str, folder: Path, warm_up: str, topic: str) -> Timed:
    """(a) Everything on: bronze, typed silver, checks, quarantine, resends, exactly once."""
    spark = spark_session(_settings(servers, folder, warm_up))

    def work(name: str) -> None:
        settings = _settings(servers, folder, name)
        done = ingest(spark, settings, lambda stage, rows: None)
        assert done.bronze == done.silver > 0

    timed = _timed(work, warm_up, topic)
    settings = _settings(servers, folder, topic)
    tables = (*SILVER_EVENTS, *QUARANTINES, DROPPED_EVENTS)
    accounted = sum(read(spark, settings, table.name).count() for table in tables)
    assert accounted == read(spark, settings, "bronze.events").count()
    return timed


def _guide(shuffle_partitions: int | None) -> Run:
    def run(servers: str, folder: Path, warm_up: str, topic: str) -> Timed:
        conf = {"spark.sql.shuffle.partitions": str(shuffle_partitions or 200)}
        settings = load_settings(overrides={"root": str(folder), "spark.conf": conf})
        spark = spark_session(settings)
        return _timed(
            lambda name: _guide_streams(spark, servers, folder / name, name), warm_up, topic
        )

    return run


def _guide_streams(spark: SparkSession, servers: str, lake: Path, topic: str) -> None:
    """(b) As the Structured Streaming and Delta guides have it, with their defaults."""

    def append(rows: DataFrame, name: str) -> None:
        (
            rows.writeStream.format("delta")
            .option("checkpointLocation", f"{lake}/_checkpoints/{name}")
            .trigger(availableNow=True)
            .start(f"{lake}/{name}")
            .awaitTermination()
        )

    source = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", servers)
        .option("subscribe", topic)
        .option("startingOffsets", "earliest")
        .load()
    )
    append(source.select("topic", "partition", "offset", "timestamp", "value"), "bronze")
    bronze = spark.readStream.format("delta").load(f"{lake}/bronze")
    parsed = bronze.select(
        "*", F.from_json(F.col("value").cast("string"), SCHEMA).alias("event")
    ).select("topic", "partition", "offset", "timestamp", "value", "event.*")
    is_valid = (
        F.col("event_id").isNotNull()
        & F.col("event_type").isNotNull()
        & F.col("occurred_at").isNotNull()
        & F.col("item_id").isNotNull()
    )
    once = (
        parsed.where(is_valid)
        .withWatermark("occurred_at", "7 days")
        .dropDuplicatesWithinWatermark(["event_id"])
    )
    append(once.drop("value"), "silver")
    append(parsed.where(~is_valid).select("topic", "partition", "offset", "value"), "quarantine")


def polars(servers: str, folder: Path, warm_up: str, topic: str) -> Timed:
    """(c) librdkafka, Polars and delta-rs: parse and append, no guarantee at all."""
    return _timed(lambda name: _polars_loop(servers, folder / name, name), warm_up, topic)


def _polars_loop(servers: str, table: Path, topic: str) -> None:
    import polars as pl
    from confluent_kafka import Consumer, TopicPartition

    kinds = {"STRING": pl.String, "BIGINT": pl.Int64, "TIMESTAMP": pl.String}
    schema = {name: kinds[kind] for name, kind in FIELDS.items()}
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": f"polars-{time.time()}",
            "enable.auto.commit": False,
            "queued.min.messages": 1_000_000,
            "fetch.max.bytes": 100_000_000,
            "max.partition.fetch.bytes": 20_000_000,
        }
    )
    partitions = sorted(consumer.list_topics(topic).topics[topic].partitions)
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p))[1] for p in partitions}
    consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
    left, lines = sum(ends.values()), list[bytes]()
    while left:
        for message in consumer.consume(min(left, 100_000), timeout=5):
            left -= 1
            value = message.value()
            if value[:1] == b"{" and value[-1:] == b"}":  # one bad line fails the whole frame
                lines.append(value)
        if len(lines) >= 500_000 or not left:
            frame = pl.read_ndjson(b"\n".join(lines), schema=schema, ignore_errors=True)
            typed = frame.with_columns(
                pl.col("occurred_at").str.to_datetime(
                    "%Y-%m-%dT%H:%M:%S%.fZ", time_zone="UTC", strict=False
                )
            )
            typed.write_delta(table, mode="append")
            lines = []
    consumer.close()


def _floor(work: Callable[[DataFrame], None]) -> Run:
    """A part of the work alone, on the topic's bytes in memory or in Kafka."""

    def run(servers: str, folder: Path, warm_up: str, topic: str) -> Timed:
        spark = spark_session(load_settings(overrides={"root": str(folder)}))

        def records(name: str) -> DataFrame:
            return (
                spark.read.format("kafka")
                .option("kafka.bootstrap.servers", servers)
                .option("subscribe", name)
                .load()
            )

        if work is _drain:
            return _timed(lambda name: work(records(name)), warm_up, topic)
        for name in (warm_up, topic):
            records(name).write.parquet(f"{folder}/{name}-raw")
            rows = spark.read.parquet(f"{folder}/{name}-raw")
            rows.select("offset", _parsed()).select("offset", "event.*").write.parquet(
                f"{folder}/{name}-typed"
            )
        kind = "raw" if work is _parse else "typed"
        return _timed(
            lambda name: work(spark.read.parquet(f"{folder}/{name}-{kind}")), warm_up, topic
        )

    return run


def _parsed() -> object:
    return F.from_json(F.col("value").cast("string"), SCHEMA).alias("event")


def _drain(records: DataFrame) -> None:
    records.write.format("noop").mode("overwrite").save()


def _parse(raw: DataFrame) -> None:
    raw.select(_parsed()).select("event.*").write.format("noop").mode("overwrite").save()


def _write(typed: DataFrame) -> None:
    folder = typed.inputFiles()[0].rsplit("/", 1)[0] + "-copy"
    typed.write.mode("overwrite").parquet(folder)


FLOORS = ("drain", "parse", "write")
RUNS: dict[str, Run] = {
    "ours": ours,
    "guide": _guide(None),
    "guide-tuned": _guide(4),
    "polars": polars,
    "drain": _floor(_drain),
    "parse": _floor(_parse),
    "write": _floor(_write),
}
