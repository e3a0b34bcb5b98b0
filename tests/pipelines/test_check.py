"""`check` finds every difference between what was produced and what stands, and names it."""

import json

from confluent_kafka import Producer
from delta.tables import DeltaTable
from given import event
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.check import check_lake
from pipelines.io.ingest import ingest
from pipelines.io.lake import table_path
from pipelines.io.read import last_commit, read
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.sources.connection import Kafka
from pipelines.sources.dataset import Dataset, send

PRODUCED = "bronze = produced"
ACCOUNTED = "bronze = silver + quarantine + late + dropped"
UNIQUE = "event ids are unique"
VIEW = "gold.item_funnel = recomputation"


def wrong(spark: SparkSession, settings: Settings) -> dict[str, str]:
    """The checks that do not hold, with what they say."""
    return {f.name: f.detail for f in check_lake(spark, settings) if not f.ok}


def delete_one(spark: SparkSession, settings: Settings, name: str) -> None:
    event_row = read(spark, settings, name).select("source_partition", "source_offset").first()
    assert event_row is not None
    partition, offset = event_row
    DeltaTable.forPath(spark, table_path(settings, name)).delete(
        f"source_partition = {partition} AND source_offset = {offset}"
    )


def test_golden_lake_is_all_ok(spark: SparkSession, golden_lake: Settings) -> None:
    seen = []
    findings = check_lake(spark, golden_lake, seen.append)
    assert [f.name for f in findings] == [
        PRODUCED,
        ACCOUNTED,
        UNIQUE,
        *(f"{view.name} = recomputation" for view in VIEWS),
    ]
    assert [f for f in findings if not f.ok] == []
    assert all(f.detail[0] != "0" for f in findings), "a check compared nothing"
    assert seen == findings


def test_lost_bronze_row_is_found(spark: SparkSession, golden_lake: Settings) -> None:
    delete_one(spark, golden_lake, "bronze.events")
    found = wrong(spark, golden_lake)
    assert found.keys() == {PRODUCED, ACCOUNTED}
    assert "1 rows only in produced, 0 only in bronze" in found[PRODUCED]
    assert "0 rows only in bronze, 1 only in silver" in found[ACCOUNTED]


def test_doubled_silver_row_and_changed_gold_row_are_found(
    spark: SparkSession, golden_lake: Settings
) -> None:
    one = read(spark, golden_lake, "silver.clicks").limit(1)
    one.write.format("delta").mode("append").save(table_path(golden_lake, "silver.clicks"))
    change_one_funnel(spark, golden_lake, keeps_its_word=True)
    found = wrong(spark, golden_lake)
    assert found.keys() == {ACCOUNTED, UNIQUE, VIEW}
    assert "0 rows only in bronze, 1 only in silver" in found[ACCOUNTED]
    assert found[UNIQUE] == "1 event ids stand more than once"
    assert "1 rows only in recomputed, 1 only in stored" in found[VIEW]


def test_lost_silver_row_and_gold_written_by_a_stranger_are_found(
    spark: SparkSession, golden_lake: Settings
) -> None:
    delete_one(spark, golden_lake, "silver.purchases")
    change_one_funnel(spark, golden_lake, keeps_its_word=False)
    found = wrong(spark, golden_lake)
    assert found.keys() == {ACCOUNTED, VIEW}
    assert "1 rows only in bronze, 0 only in silver" in found[ACCOUNTED]
    assert "source_offset" in found[ACCOUNTED], "no example is shown"
    assert "refresh --full" in found[VIEW]


def change_one_funnel(spark: SparkSession, settings: Settings, *, keeps_its_word: bool) -> None:
    """One row of gold.item_funnel gets a unit more, with or without what a refresh notes."""
    name = "gold.item_funnel"
    rows = read(spark, settings, name).localCheckpoint()
    first = rows.orderBy("item_id", "event_date").first()
    assert first is not None
    is_first = f"item_id = '{first['item_id']}' AND event_date = DATE'{first['event_date']}'"
    one_more = {"units": F.col("units") + F.expr(is_first).cast("int")}
    writer = rows.withColumns(one_more).write.format("delta").mode("overwrite")
    if keeps_its_word:
        metadata = last_commit(spark, settings, name)["userMetadata"]
        writer = writer.option("userMetadata", metadata)
    writer.save(table_path(settings, name))


def test_event_in_the_topic_that_nobody_produced_here_is_found(
    spark: SparkSession, broker: Kafka, kafka_lake: Settings
) -> None:
    pairs = [(b"key", json.dumps(event("click", n)).encode()) for n in range(3)]
    dataset = Dataset("mine", "mine", lambda: pairs)
    send(dataset, Kafka(kafka_lake, broker.check_alive), rate=None, progress=lambda _: None)
    kafka = kafka_lake.source.kafka
    stranger = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    stranger.produce(kafka.topic, json.dumps(event("click", 9)).encode())
    assert stranger.flush(20) == 0
    ingest(spark, kafka_lake, lambda stage, count: None)
    found = wrong(spark, kafka_lake)
    views = {f"{view.name} = recomputation" for view in VIEWS}
    assert found.keys() - views == {PRODUCED}
    assert "0 rows only in produced, 1 only in bronze" in found[PRODUCED]
    assert {found[view] for view in views} == {"never refreshed; run `lakehouse refresh`"}
