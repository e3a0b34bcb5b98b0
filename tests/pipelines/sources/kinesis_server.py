"""Amazon Kinesis on 127.0.0.1: moto's server, with resharding as the service documents it.

moto moves the records of a shard that is split or merged, goes on writing to it, and never says
that it has ended. In Kinesis a closed shard keeps its records, its children take the new ones, and
an iterator that is past its last record is null.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import boto3
import pytest
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.exceptions import JsonRESTError
from moto.kinesis import models
from moto.server import ThreadedMotoServer

REGION = "us-east-1"


_shard_for_key = models.Stream.get_shard_for_key
_split_shard = models.Stream.split_shard
_merge_shards = models.Stream.merge_shards
_get_records = models.KinesisBackend.get_records


def shard_for_key(stream: Any, partition_key: str, explicit_hash_key: str) -> Any:
    every = stream.shards
    stream.shards = {name: shard for name, shard in every.items() if shard.is_open}
    try:
        return _shard_for_key(stream, partition_key, explicit_hash_key)
    finally:
        stream.shards = every


def split_shard(stream: Any, shard_to_split: str, new_starting_hash_key: str) -> None:
    with _records_kept(stream):
        _split_shard(stream, shard_to_split, new_starting_hash_key)


def merge_shards(stream: Any, shard_to_merge: str, adjacent_shard_to_merge: str) -> None:
    with _records_kept(stream):
        _merge_shards(stream, shard_to_merge, adjacent_shard_to_merge)


@contextmanager
def _records_kept(stream: Any) -> Iterator[None]:
    kept = {name: OrderedDict(shard.records) for name, shard in stream.shards.items()}
    yield
    for name, shard in stream.shards.items():
        shard.records = kept.get(name, OrderedDict())


def get_records(backend: Any, stream_arn: Any, shard_iterator: str, limit: Any) -> Any:
    following, records, behind = _get_records(backend, stream_arn, shard_iterator, limit)
    stream, name, last = models.decompose_shard_iterator(following)
    shard = backend.streams[stream].shards[name]
    is_at_end = not shard.is_open and int(last) >= shard.get_max_sequence_number()
    return None if is_at_end else following, records, behind


class KinesisServer:
    """The server and what tests do to its streams."""

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
        self.api = boto3.client("kinesis", region_name=REGION, endpoint_url=endpoint_url)

    def create(self, stream: str, shards: int) -> None:
        self.api.create_stream(StreamName=stream, ShardCount=shards)

    def put(self, stream: str, payloads: Iterable[bytes]) -> None:
        """Put records with keys that spread over all shards."""
        records = [{"Data": p, "PartitionKey": str(hash(p))} for p in payloads]
        for start in range(0, len(records), 500):
            answer = self.api.put_records(StreamName=stream, Records=records[start : start + 500])
            assert answer["FailedRecordCount"] == 0

    def open_shards(self, stream: str) -> list[dict[str, Any]]:
        """The shards that take records, by their range of keys."""
        shards = self.api.list_shards(StreamName=stream)["Shards"]
        is_open = [s for s in shards if "EndingSequenceNumber" not in s["SequenceNumberRange"]]
        return sorted(is_open, key=lambda s: int(s["HashKeyRange"]["StartingHashKey"]))

    def split(self, stream: str, number: int) -> None:
        """Split the open shard of that number in the middle."""
        shard = self.open_shards(stream)[number]
        low, high = (int(shard["HashKeyRange"][k]) for k in ("StartingHashKey", "EndingHashKey"))
        middle = str((low + high) // 2)
        self.api.split_shard(
            StreamName=stream, ShardToSplit=shard["ShardId"], NewStartingHashKey=middle
        )

    def merge(self, stream: str, number: int) -> None:
        """Merge the open shard of that number with the next one."""
        first, second = (s["ShardId"] for s in self.open_shards(stream)[number : number + 2])
        self.api.merge_shards(StreamName=stream, ShardToMerge=first, AdjacentShardToMerge=second)

    def expire(self, stream: str, records: int) -> None:
        """Let each shard forget its oldest records, as when they are older than its retention."""
        for shard in self._shards(stream):
            for number in list(shard.records)[:records]:
                del shard.records[number]

    def grow_older(self, stream: str, seconds: int) -> None:
        """Let all records have arrived earlier than they did."""
        for shard in self._shards(stream):
            for record in shard.records.values():
                record.created_at -= seconds
                record.created_at_datetime -= timedelta(seconds=seconds)

    @contextmanager
    def throttled(self, after: int) -> Iterator[None]:
        """Refuse to give records after that many calls."""
        calls = count()

        def refuse(*given: Any) -> Any:
            if next(calls) >= after:
                raise JsonRESTError("ProvisionedThroughputExceededException", "Rate exceeded")
            return get_records(*given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(models.KinesisBackend, "get_records", refuse)
            yield

    def _shards(self, stream: str) -> list[Any]:
        backend = models.kinesis_backends[DEFAULT_ACCOUNT_ID][REGION]
        return list(backend.streams[stream].shards.values())


@contextmanager
def kinesis_server() -> Iterator[KinesisServer]:
    """A server on a free port that is gone when the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(models.Stream, "get_shard_for_key", shard_for_key)
        patch.setattr(models.Stream, "split_shard", split_shard)
        patch.setattr(models.Stream, "merge_shards", merge_shards)
        patch.setattr(models.KinesisBackend, "get_records", get_records)
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            yield KinesisServer(f"http://{host}:{port}")
        finally:
            server.stop()
