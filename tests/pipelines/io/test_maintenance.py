"""Maintenance: rows as they were, few files, nothing deleted that someone still needs."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from delta.tables import DeltaTable
from gates import before_opening, behind, shut
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.errors import ConflictError, RegistryError
from pipelines.io.fingerprint import Fingerprint, fingerprint
from pipelines.io.lake import table_path
from pipelines.io.leases import leases, reading
from pipelines.io.maintenance import Maintained, maintain, maintaining
from pipelines.io.read import read, read_stream, schema_of, version_of
from pipelines.io.write import write
from pipelines.registry import VIEWS, views_in_order
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.items import ITEMS
from pipelines.silver.purchases import PURCHASES
from pipelines.views.prepare import plan
from pipelines.views.refresh import refresh

NAME = DROPPED_EVENTS.name
LONG_S = 40 * 24 * 3600  # more than the 30 days that Delta keeps its log

READER = """
import sys
from pipelines.io.leases import reading
from pipelines.settings import load_settings
with reading(load_settings(overrides={"root": sys.argv[1]}), "a long query", {sys.argv[2]: 0}):
    print("reading", flush=True)
    sys.stdin.read()
"""


def dropped(spark: SparkSession, first: int, after: int) -> DataFrame:
    """Rows numbered from `first`, in one file."""
    number = F.col("id")
    return spark.range(first, after, 1, 1).select(
        F.concat(F.lit("e"), number).alias("event_id"),
        F.lit("silver.clicks").alias("table_name"),
        F.lit("duplicate").alias("reason"),
        F.lit("t").alias("source"),
        F.lit(0).alias("source_partition"),
        number.alias("source_offset"),
    )


def tuned(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"maintain": settings.maintain.model_copy(update=changes)})


def only(done: list[Maintained]) -> Maintained:
    (one,) = done
    return one


def commits(spark: SparkSession, lake: Settings, numbers: Iterable[int]) -> None:
    """One commit of one small file per number."""
    for number in numbers:
        write(dropped(spark, number, number + 1), lake, DROPPED_EVENTS)


def let_pass(spark: SparkSession, lake: Settings, name: str, seconds: float) -> None:
    """Let all that a table has done so far have been done that long ago."""
    folder = Path(table_path(lake, name))
    for entry in sorted((folder / "_delta_log").glob("*.json")):
        lines = [json.loads(line) for line in entry.read_text().splitlines()]
        for action in (a.get("remove") or a.get("commitInfo") or {} for a in lines):
            for key in {"deletionTimestamp", "timestamp", "inCommitTimestamp"} & action.keys():
                action[key] -= int(seconds * 1000)
        entry.write_text("".join(json.dumps(line) + "\n" for line in lines))
        for checksum in ((folder / "_delta_log").glob(f"{entry.stem}.crc"),
                         (folder / "_delta_log").glob(f".{entry.stem}.*crc")):  # fmt: skip
            for stale in checksum:
                stale.unlink()
    for file in folder.rglob("*"):
        then = file.stat().st_mtime - seconds
        os.utime(file, (then, then))
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]


def data_files(lake: Settings, name: str) -> int:
    return len(list(Path(table_path(lake, name)).glob("*.parquet")))


def test_small_files_stay_bounded_and_rows_stay_the_same(
    spark: SparkSession, lake: Settings
) -> None:
    settings = tuned(lake, max_small_files=3)
    most = 0
    for start in range(0, 15, 5):
        commits(spark, settings, range(start, start + 5))
        result = only(maintain(spark, settings, [NAME], clean=False))
        most = max(most, result.files_before)
        assert result.files_after <= 3
    assert most <= 3 + 5
    assert read(spark, settings, NAME).count() == 15
    assert read(spark, settings, NAME).select("event_id").distinct().count() == 15


def test_table_that_is_in_shape_is_left_alone(spark: SparkSession, lake: Settings) -> None:
    commits(spark, lake, range(3))
    before = version_of(spark, lake, NAME)
    result = only(maintain(spark, lake, [NAME]))
    assert result.done == ("vacuumed", "log cleaned")
    assert (result.files_before, result.files_after) == (3, 3)
    assert version_of(spark, lake, NAME) == before
    assert maintain(spark, lake, [PURCHASES.name]) == []  # not made yet


def test_clustered_table_is_clustered_and_only_what_is_new_again(
    spark: SparkSession, lake: Settings
) -> None:
    settings = tuned(lake, max_small_files=1)
    some = {"string": F.col("id").cast("string"), "timestamp": F.timestamp_seconds("id")}
    some |= {"int": F.lit(0), "bigint": F.col("id"), "variant": F.parse_json(F.lit("{}"))}
    columns = [some[f.dataType.simpleString()].alias(f.name) for f in schema_of(PURCHASES)]

    def rows() -> Fingerprint:  # a VARIANT has no hash
        return fingerprint(read(spark, settings, PURCHASES.name).drop("attributes"))

    for start in (0, 10):
        write(spark.range(start, start + 10, 1, 1).select(*columns), settings, PURCHASES)
    before = rows()
    first = only(maintain(spark, settings, [PURCHASES.name], clean=False))
    assert first.done == ("clustered",)
    assert rows() == before
    again = only(maintain(spark, settings, [PURCHASES.name], clean=False))
    assert (again.done, again.files_before) == ((), first.files_after)


def test_deleted_rows_are_purged_from_the_files_once_they_are_many(
    spark: SparkSession, lake: Settings
) -> None:
    write(dropped(spark, 0, 100), lake, DROPPED_EVENTS)
    path = table_path(lake, NAME)
    spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES (delta.enableDeletionVectors = true)")
    table = DeltaTable.forPath(spark, path)
    table.delete("source_offset < 3")
    assert only(maintain(spark, lake, [NAME], clean=False)).done == ()
    table.delete("source_offset < 20")
    assert only(maintain(spark, lake, [NAME], clean=False)).done == ("purged",)
    stored = spark.read.parquet(*table.toDF().inputFiles())
    assert stored.where("source_offset < 20").isEmpty()
    assert table.toDF().count() == 80


def test_vacuum_deletes_what_has_outlived_retention_and_nothing_younger(
    spark: SparkSession, lake: Settings
) -> None:
    settings = tuned(lake, max_small_files=1)
    commits(spark, settings, range(3))
    maintain(spark, settings, [NAME], clean=False)
    assert data_files(lake, NAME) == 4  # three that were merged and the one they became
    let_pass(spark, lake, NAME, LONG_S)
    result = only(maintain(spark, settings, [NAME]))
    assert result.done == ("vacuumed", "log cleaned")
    assert result.freed_bytes > 0
    assert data_files(lake, NAME) == 1
    assert read(spark, lake, NAME).count() == 3
    log = Path(table_path(lake, NAME)) / "_delta_log"
    assert not (log / f"{0:020}.json").exists()


def test_vacuum_refuses_while_a_view_shows_an_older_version(
    spark: SparkSession, golden_lake: Settings
) -> None:
    settings = tuned(golden_lake, max_small_files=1)
    moved = read(spark, settings, PURCHASES.name).limit(1).withColumn("event_id", F.uuid())
    write(moved.select(*PURCHASES.columns), settings, PURCHASES)
    maintain(spark, settings, [PURCHASES.name], clean=False)
    let_pass(spark, settings, PURCHASES.name, LONG_S)
    files = data_files(settings, PURCHASES.name)
    held = only(maintain(spark, settings, [PURCHASES.name]))
    assert {who.split(",")[0] for who in held.held_by} == {
        view.name for view in VIEWS if PURCHASES.name in view.inputs
    }
    assert (held.done, data_files(settings, PURCHASES.name)) == ((), files)
    refresh(spark, settings)
    freed = only(maintain(spark, settings, [PURCHASES.name]))
    assert (freed.held_by, freed.done) == ((), ("vacuumed", "log cleaned"))
    assert data_files(settings, PURCHASES.name) < files


def test_view_that_was_compacted_still_says_what_it_shows(
    spark: SparkSession, golden_lake: Settings
) -> None:
    (view,) = views_in_order(["sales_hourly"])
    assert plan(spark, golden_lake, view).strategy.name == "none"
    spark.sql(f"OPTIMIZE delta.`{table_path(golden_lake, view.name)}`").collect()
    assert plan(spark, golden_lake, view).strategy.name == "none"


def test_vacuum_refuses_while_a_stream_has_not_read_what_was_merged(
    spark: SparkSession, lake: Settings, tmp_path: Path
) -> None:
    settings = tuned(lake, max_small_files=1)
    checkpoint = f"{lake.root}/_checkpoints/reader"

    def read_on() -> None:
        query = (
            read_stream(spark, lake, NAME, max_bytes="1g")
            .writeStream.trigger(availableNow=True)
            .option("checkpointLocation", checkpoint)
            .foreachBatch(lambda batch, _: batch.collect())
            .start()
        )
        query.awaitTermination()

    commits(spark, settings, range(2))
    read_on()
    commits(spark, settings, range(2, 5))
    maintain(spark, settings, [NAME], clean=False)
    let_pass(spark, lake, NAME, LONG_S)
    held = only(maintain(spark, settings, [NAME]))
    assert [who.split(",")[0] for who in held.held_by] == ["stream reader"]
    read_on()
    assert only(maintain(spark, settings, [NAME])).held_by == ()


def test_vacuum_refuses_while_another_process_reads_an_old_version(
    spark: SparkSession, lake: Settings
) -> None:
    settings = tuned(lake, max_small_files=1)
    commits(spark, settings, range(2))
    maintain(spark, settings, [NAME], clean=False)
    let_pass(spark, lake, NAME, LONG_S)
    command = [sys.executable, "-c", READER, lake.root, NAME]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout
        assert reader.stdout.readline() == "reading\n"
        held = only(maintain(spark, settings, [NAME]))
        assert held.held_by == (f"a long query (process {reader.pid}), from version 1",)
        reader.kill()
        reader.wait()
    assert only(maintain(spark, settings, [NAME])).held_by == ()


def test_lease_ends_with_its_block(lake: Settings) -> None:
    with reading(lake, "me", {NAME: 3}), reading(lake, "you", {NAME: 4}):
        assert sorted(lease.versions[NAME] for lease in leases(lake)) == [3, 4]
    assert leases(lake) == []


def test_it_runs_beside_a_writer_of_the_same_process(spark: SparkSession, lake: Settings) -> None:
    settings = tuned(lake, max_small_files=1, every_s=0.05)
    failed: list[Exception] = []
    merged = threading.Event()

    def note(result: Maintained) -> None:
        if result.files_after < result.files_before:
            merged.set()

    with maintaining(spark, settings, [NAME], progress=note, failed=failed.append):
        count = 0
        while not merged.is_set() or count < 12:
            commits(spark, settings, [count])
            count += 1
    assert failed == []
    assert read(spark, settings, NAME).select("event_id").distinct().count() == count
    assert read(spark, settings, NAME).count() == count


def test_upsert_that_a_rewrite_spoils_is_done_again_a_bounded_number_of_times(
    spark: SparkSession, lake: Settings, rows: Callable[..., DataFrame], tmp_path: Path
) -> None:
    """Each time the upsert has begun when its table is rewritten, and ends after that."""

    def item(number: int, title: str) -> DataFrame:
        at, kept = datetime(2017, 3, 1), {"payload_hash": 1, "source": "s"}
        place = {"source_partition": 0, "source_offset": number}
        names = {"event_id": f"e{number}", "item_id": f"i{number}", "title": title}
        return rows(ITEMS, [{**names, "occurred_at": at, **kept, **place}])

    def overtaken(title: str, attempts: int) -> None:
        settings = tuned(lake, max_small_files=1, attempts=attempts)
        for number in range(2):
            write(item(number, "Old"), settings, ITEMS)
        gate = shut(tmp_path / f"gate-{attempts}")
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(write, behind(gate, item(0, title)), settings, ITEMS)
            with before_opening(gate):
                done = only(maintain(spark, settings, [ITEMS.name], clean=False))
            assert done.done == ("clustered",)
            running.result()

    def titles() -> dict[str, str]:
        found = read(spark, lake, ITEMS.name).select("item_id", "title").collect()
        assert len(found) == 2
        return {row["item_id"]: row["title"] for row in found}

    overtaken("New", attempts=2)
    assert titles() == {"i0": "New", "i1": "Old"}
    with pytest.raises(ConflictError, match=r"silver\.items: .* at each of 1 attempts; run again"):
        overtaken("Newer", attempts=1)
    assert titles() == {"i0": "Old", "i1": "Old"}


def test_unknown_table_is_named(spark: SparkSession, lake: Settings) -> None:
    with pytest.raises(RegistryError, match=r"no table named silver\.nope; there are bronze"):
        maintain(spark, lake, ["silver.nope"])
