"""A Kafka topic as a stream: each event once while partitions are added, intake bounded."""

from collections.abc import Iterable
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions
from pyspark.sql import DataFrame, Row, SparkSession

from pipelines.settings import Settings
from pipelines.sources.stream import source_events
from pipelines.sources.topic import ensure_topic
from pipelines.table import ORIGIN


def send(settings: Settings, partition: int, numbers: Iterable[int]) -> None:
    kafka = settings.source.kafka
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})
    for number in numbers:
        producer.produce(kafka.topic, b"%d" % number, partition=partition)
    assert producer.flush(20) == 0


def test_events_of_partitions_that_are_added_while_the_stream_runs_come_once(
    spark: SparkSession, kafka_lake: Settings, tmp_path: Path
) -> None:
    kafka = kafka_lake.source.kafka.model_copy(update={"max_offsets_per_trigger": 30})
    source = kafka_lake.source.model_copy(update={"kafka": kafka})
    settings = kafka_lake.model_copy(update={"source": source})
    ensure_topic(kafka.bootstrap_servers, kafka.topic, 1)
    send(settings, 0, range(100))
    batches: list[list[Row]] = []

    def keep(batch: DataFrame, _: int) -> None:
        batches.append(batch.collect())

    writer = source_events(spark, settings).writeStream.foreachBatch(keep)
    query = writer.option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    try:
        query.processAllAvailable()
        admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
        added = admin.create_partitions([NewPartitions(kafka.topic, 3)])
        added[kafka.topic].result(20)
        for partition in range(3):
            send(settings, partition, range(100 * partition + 100, 100 * partition + 200))
        while len(rows := [row for batch in batches for row in batch]) < 400:
            query.processAllAvailable()
    finally:
        query.stop()
    assert sorted(int(row["payload"]) for row in rows) == list(range(400))
    assert len({tuple(row[name] for name in ORIGIN) for row in rows}) == 400
    assert {row["source_partition"] for row in rows} == {0, 1, 2}
    assert max(map(len, batches)) <= 30, "intake is not bounded"
