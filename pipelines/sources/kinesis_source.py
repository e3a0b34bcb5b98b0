"""A Kinesis stream as a Python data source of Spark, for wherever Spark brings no reader of it.

A trigger's records are read once, on the driver, and passed on in memory: Kinesis tells where a
batch ends only by reading it, and every reader of a shard has a part of the same 2 MB/s. A batch
that is repeated after a crash is read again from its two offsets and must come out the same.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Any

import pyarrow as pa
from pyspark.sql.datasource import DataSource, SimpleDataSourceStreamReader
from pyspark.sql.streaming.datasource import SupportsTriggerAvailableNow
from pyspark.sql.types import StructType

from pipelines.errors import SourceError
from pipelines.sources.kinesis_api import Kinesis, Record, Records
from pipelines.sources.kinesis_offset import (
    GO_ON,
    Offset,
    Shard,
    advanced,
    awaits_children,
    first_offset,
    require_unbroken,
    shares,
    with_children,
    without_left,
)

_READERS = 16  # shards that are read at a time: most of a call is waiting
_IDLE_PARTS = 4  # an idle shard's time is noted this often within its retention

_ARROW = pa.schema(
    {
        "source": pa.string(),
        "source_partition": pa.int32(),
        "source_offset": pa.int64(),
        "payload": pa.binary(),
        "produced_at": pa.timestamp("us", tz="UTC"),
    }
)


class KinesisSource(DataSource):
    """Options: `stream`, `region`, `endpoint_url`, `start` and `max_records_per_trigger`."""

    @classmethod
    def name(cls) -> str:
        return "kinesis_boto3"

    def schema(self) -> str:
        return (
            "source STRING, source_partition INT, source_offset BIGINT, payload BINARY, "
            "produced_at TIMESTAMP"
        )

    def simpleStreamReader(self, schema: StructType) -> "KinesisReader":
        return KinesisReader(dict(self.options))


class KinesisReader(SimpleDataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads what follows an offset, or what lies between two."""

    def __init__(self, options: dict[str, str]) -> None:
        self._options = options
        self._max_records = int(options["max_records_per_trigger"])
        self._stop_at = inf

    def _kinesis(self) -> Kinesis:
        given = self._options  # names in lower case, as Spark hands them on
        return Kinesis(given["stream"], given["region"], given["endpoint_url"])

    def prepareForTriggerAvailableNow(self) -> None:
        self._stop_at = self._kinesis().describe().now + 1  # the service's clock has whole seconds

    def initialOffset(self) -> dict[str, Any]:
        kinesis = self._kinesis()
        stream = kinesis.describe()
        start_at = stream.now if self._options["start"] == "LATEST" else 0
        return first_offset(stream.created, kinesis.parents(), start_at).to_json()

    def read(self, start: dict[str, Any]) -> tuple[Iterator[pa.RecordBatch], dict[str, Any]]:
        offset, kinesis = Offset.from_json(start), self._kinesis()
        stream = kinesis.describe()
        require_unbroken(kinesis.stream, offset, stream.created, stream.now, stream.retention_s)
        found = self._read(kinesis, offset.shards, shares(offset.shards, self._max_records))
        shards = dict(offset.shards)
        for name, part in found.items():
            shards[name] = advanced(
                shards[name],
                [record.sequence_number for record in part.records],
                part.read_until,
                ended=part.ended,
                idle_s=stream.retention_s // _IDLE_PARTS,
            )
        if awaits_children(shards):
            shards = with_children(shards, kinesis.parents())
        if shards == offset.shards:
            return iter(()), start
        batches = [_batch(kinesis.stream, n, shards[n], p.records) for n, p in found.items()]
        shards = without_left(shards, offset.shards)
        return iter(batches), Offset(offset.created, shards).to_json()

    def _read(self, kinesis: Kinesis, shards: Any, limits: dict[str, int]) -> dict[str, Records]:
        def read(name: str) -> Records:
            return kinesis.read(name, shards[name], limits[name], self._stop_at)

        with ThreadPoolExecutor(_READERS) as pool:
            return dict(zip(limits, pool.map(read, limits), strict=True))

    def readBetweenOffsets(
        self, start: dict[str, Any], end: dict[str, Any]
    ) -> Iterator[pa.RecordBatch]:
        kinesis = self._kinesis()
        before, after = Offset.from_json(start).shards, Offset.from_json(end).shards
        for name, shard in after.items():
            known = before.get(name, Shard())
            if shard.count == known.count:
                continue
            wanted = shard.count - known.count
            records = kinesis.read(name, known, wanted).records
            if len(records) < wanted or records[-1].sequence_number != shard.last:
                raise _expired(kinesis.stream, name)
            yield _batch(kinesis.stream, name, shard, records)


def _expired(stream: str, name: str) -> SourceError:
    return SourceError(
        f"Kinesis stream {stream}: records of {name} expired before the batch that holds them was "
        f"written; {GO_ON}"
    )


def _batch(stream: str, name: str, shard: Shard, records: list[Record]) -> pa.RecordBatch:
    """The newest records of a shard in the columns of bronze.

    A record's place is its number after the first one that was ever read of the shard; that one's
    sequence number is in `source`, so that the place names the same record for ever.
    """
    end = shard.count
    columns = {
        "source": [f"{stream}@{shard.first}"] * len(records),
        "source_partition": [int(name.rpartition("-")[2])] * len(records),
        "source_offset": range(end - len(records), end),
        "payload": [record.payload for record in records],
        "produced_at": [record.arrived_at for record in records],
    }
    return pa.RecordBatch.from_pydict(columns, schema=_ARROW)
