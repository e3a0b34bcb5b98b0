"""A Kinesis stream: each record once, whatever is restarted, repeated, split or merged."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from kinesis_server import KinesisServer
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from pipelines.errors import SourceError
from pipelines.settings import Settings, load_settings
from pipelines.sources.failures import source_failure
from pipelines.sources.stream import source_events
from pipelines.table import ORIGIN


@dataclass
class Reading:
    """One stream read into one Delta table, every batch a transaction, as `ingest` does it."""

    spark: SparkSession
    server: KinesisServer
    folder: Path
    stream: str = field(default_factory=lambda: f"stream-{uuid.uuid4()}")
    max_records: int = 1000
    start: str = "TRIM_HORIZON"
    batches: list[list[Row]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        given = {
            "kind": "kinesis",
            "kinesis.stream": self.stream,
            "kinesis.endpoint_url": self.server.endpoint_url,
            "kinesis.start": self.start,
            "kinesis.max_records_per_trigger": self.max_records,
        }
        return load_settings(overrides={f"source.{key}": value for key, value in given.items()})

    def begin(self, **trigger: Any) -> StreamingQuery:
        def add(batch: DataFrame, batch_id: int) -> None:
            self.batches.append(batch.select(*ORIGIN, "payload").collect())
            writer = batch.write.format("delta").mode("append")
            writer = writer.option("txnAppId", self.stream).option("txnVersion", batch_id)
            writer.save(str(self.folder / "table"))

        writer = source_events(self.spark, self.settings).writeStream.foreachBatch(add)
        writer = writer.option("checkpointLocation", str(self.folder / "checkpoint"))
        return writer.trigger(**trigger).start()

    def drain(self) -> list[Row]:
        """Take in all there is; returns what this run was given."""
        self.batches.clear()
        query = self.begin(availableNow=True)
        try:
            query.awaitTermination(60)
            assert not query.isActive, "the run does not end"
        except StreamingQueryException as error:
            raise source_failure("bronze", str(error)) or error from None
        finally:
            query.stop()
        return [row for batch in self.batches for row in batch]

    def rows(self) -> list[Row]:
        """All that stands in the table."""
        return self.spark.read.format("delta").load(str(self.folder / "table")).collect()

    def payloads(self) -> list[bytes]:
        return sorted(bytes(row["payload"]) for row in self.rows())

    def newest(self, kind: str) -> Path:
        """The newest file of `offsets` or `commits` in the checkpoint."""
        files = (self.folder / "checkpoint" / kind).iterdir()
        return max((f for f in files if f.name.isdigit()), key=lambda f: int(f.name))

    def offset(self) -> dict[str, Any]:
        return dict(json.loads(self.newest("offsets").read_text().splitlines()[2]))

    def change_offset(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change what the newest offset says, as time alone would."""
        file = self.newest("offsets")
        *head, offset = file.read_text().splitlines()
        changed = json.loads(offset)
        change(changed)
        file.write_text("\n".join([*head, json.dumps(changed)]))
        file.with_name(f".{file.name}.crc").unlink()

    def forget_last_commit(self) -> None:
        """As if the process had died after its last write, before the stream noted it."""
        last = self.newest("commits")
        last.unlink()
        last.with_name(f".{last.name}.crc").unlink()


@pytest.fixture
def reading(spark: SparkSession, kinesis: KinesisServer, tmp_path: Path) -> Reading:
    return Reading(spark, kinesis, tmp_path)


def numbered(start: int, stop: int) -> list[bytes]:
    return [b'{"n":%06d}' % n for n in range(start, stop)]


def keys(rows: list[Row]) -> list[tuple[Any, ...]]:
    return sorted(tuple(row[name] for name in ORIGIN) for row in rows)


def test_restarts_go_on_and_repeated_batches_bring_the_same_rows_and_add_nothing(
    reading: Reading,
) -> None:
    reading.max_records = 60
    reading.server.create(reading.stream, 2)
    reading.server.put(reading.stream, numbered(0, 100))
    reading.drain()
    assert reading.payloads() == numbered(0, 100)
    assert len(set(keys(reading.rows()))) == 100
    assert max(map(len, reading.batches)) <= 60, "intake is not bounded"

    last, stood = reading.batches[-1], keys(reading.rows())
    reading.forget_last_commit()
    again = reading.drain()
    assert sorted(map(tuple, again)) == sorted(map(tuple, last)), "the batch came out otherwise"
    assert keys(reading.rows()) == stood

    reading.server.put(reading.stream, numbered(100, 130))
    assert len(reading.drain()) == 30
    assert reading.drain() == []
    assert reading.payloads() == numbered(0, 130)
    assert len(set(keys(reading.rows()))) == 130


def test_records_come_once_while_shards_split_and_merge(reading: Reading) -> None:
    reading.max_records = 100
    stream, server = reading.stream, reading.server
    server.create(stream, 2)
    server.put(stream, numbered(0, 100))
    query = reading.begin(processingTime="0 seconds")
    try:
        for step, reshard in enumerate([server.split, server.merge], start=1):
            reshard(stream, step % 2)
            server.put(stream, numbered(100 * step, 100 * step + 100))
            query.processAllAvailable()
        query.processAllAvailable()
    finally:
        query.stop()
    assert reading.payloads() == numbered(0, 300)
    assert len(set(keys(reading.rows()))) == 300
    read = set(reading.offset()["shards"])
    assert read == {shard["ShardId"] for shard in server.open_shards(stream)}
    assert reading.drain() == []


def test_records_that_may_have_expired_unread_stop_the_stream(reading: Reading) -> None:
    reading.server.create(reading.stream, 1)
    reading.server.put(reading.stream, numbered(0, 10))
    reading.drain()

    def let_pass(offset: dict[str, Any], hours: int) -> None:
        offset["shards"]["shardId-000000000000"]["read_until"] -= hours * 3600

    reading.change_offset(lambda offset: let_pass(offset, 20))
    reading.server.put(reading.stream, numbered(10, 20))
    assert len(reading.drain()) == 10, "20 of 24 hours are no gap"
    reading.change_offset(lambda offset: let_pass(offset, 25))
    with pytest.raises(SourceError, match=r"was last read 25 hours ago and keeps records for 24"):
        reading.drain()


def test_batch_whose_records_expired_before_it_was_repeated_stops_the_stream(
    reading: Reading,
) -> None:
    reading.server.create(reading.stream, 1)
    reading.server.put(reading.stream, numbered(0, 20))
    reading.drain()
    reading.forget_last_commit()
    reading.server.expire(reading.stream, 5)
    with pytest.raises(SourceError, match="expired before the batch that holds them was written"):
        reading.drain()


def test_recreated_stream_stops_and_a_missing_one_is_named(reading: Reading) -> None:
    with pytest.raises(SourceError, match=f"{reading.stream} does not exist; create it"):
        reading.drain()
    reading.server.create(reading.stream, 1)
    reading.server.put(reading.stream, numbered(0, 5))
    reading.drain()
    reading.server.api.delete_stream(StreamName=reading.stream)
    reading.server.create(reading.stream, 1)
    with pytest.raises(SourceError, match="was deleted and created again since it was last read"):
        reading.drain()


def test_latest_leaves_out_what_came_before_the_stream_was_first_read(reading: Reading) -> None:
    reading.start = "LATEST"
    reading.server.create(reading.stream, 1)
    reading.server.put(reading.stream, numbered(0, 5))
    reading.server.grow_older(reading.stream, seconds=10)
    assert reading.drain() == []
    reading.server.put(reading.stream, numbered(5, 8))
    assert len(reading.drain()) == 3
    assert reading.payloads() == numbered(5, 8)
