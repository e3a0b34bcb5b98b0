"""Amazon Kinesis through boto3: what a stream is, its shards, and the records of one shard."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from itertools import takewhile
from typing import Any, cast

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from pipelines.errors import SourceError
from pipelines.sources.kinesis_offset import GO_ON, Parents, Shard

PAGE_RECORDS = 10_000  # what one call returns at most
# A shard gives 2 MB and answers 5 calls a second to all its readers together. After a page of
# 10 MB it refuses for 5 s.
_PATIENCE_S = 30


@dataclass(frozen=True)
class Record:
    """One record as the stream keeps it."""

    sequence_number: str
    payload: bytes
    arrived_at: datetime


@dataclass(frozen=True)
class Records:
    """What was read of a shard in one go.

    Attributes:
        records: oldest first.
        read_until: epoch seconds; all that arrived before has been read.
        ended: the shard is closed, and this was its end.
    """

    records: list[Record]
    read_until: int
    ended: bool


@dataclass(frozen=True)
class Stream:
    """What the service says of a stream: times in epoch seconds by its own clock."""

    created: int
    retention_s: int
    now: int


class Kinesis:
    """One stream, read-only. Credentials come from boto3's own chain."""

    def __init__(self, stream: str, region: str, endpoint_url: str) -> None:
        self.stream = stream
        self._api = _client(region, endpoint_url)

    def describe(self) -> Stream:
        """What the stream is now.

        Raises:
            SourceError: it does not exist or cannot be reached.
        """
        with self._errors():
            answer = self._api.describe_stream_summary(StreamName=self.stream)
        summary = answer["StreamDescriptionSummary"]
        created = int(summary["StreamCreationTimestamp"].timestamp())
        return Stream(created, summary["RetentionPeriodHours"] * 3600, _server_time(answer))

    def parents(self) -> Parents:
        """By shard, open or closed, the shards that it came from."""
        with self._errors():
            pages = self._api.get_paginator("list_shards").paginate(StreamName=self.stream)
            shards = [shard for page in pages for shard in page["Shards"]]
        names = ("ParentShardId", "AdjacentParentShardId")
        return {s["ShardId"]: tuple(s[name] for name in names if s.get(name)) for s in shards}

    def read(self, name: str, shard: Shard, limit: int, stop_at: float = math.inf) -> Records:
        """At most `limit` records that follow what has been read, up to the shard's tip.

        Args:
            stop_at: epoch seconds; what arrived later is left for another time.

        Raises:
            SourceError: the shard is gone or cannot be reached.
        """
        found: list[Record] = []
        read_until = shard.read_until
        iterator: str | None = None
        with self._errors():
            iterator = self._iterator(name, shard)
            while iterator and len(found) < limit:
                wanted = min(PAGE_RECORDS, limit - len(found))
                answer = self._page(iterator, wanted, is_patient=not found)
                if answer is None:
                    break
                page = [_record(record) for record in answer["Records"]]
                due = list(takewhile(lambda r: r.arrived_at.timestamp() <= stop_at, page))
                found += due
                if len(due) < len(page):
                    break
                iterator = answer.get("NextShardIterator")
                if len(page) < wanted and not answer["MillisBehindLatest"]:
                    read_until = _server_time(answer)
                    break
        if found and read_until == shard.read_until:
            read_until = int(found[-1].arrived_at.timestamp())
        return Records(found, read_until, ended=not iterator)

    def _page(self, iterator: str, limit: int, *, is_patient: bool) -> dict[str, Any] | None:
        """The next records; None if the shard has given all that it gives in a second, or five."""
        deadline = time.monotonic() + (_PATIENCE_S if is_patient else 0)
        while True:
            try:
                answer = self._api.get_records(ShardIterator=iterator, Limit=limit)
                return cast(dict[str, Any], answer)
            except self._api.exceptions.ProvisionedThroughputExceededException:
                if not is_patient:
                    return None
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def _iterator(self, name: str, shard: Shard) -> str:
        start: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
        if shard.last:
            start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER"}
            start["StartingSequenceNumber"] = shard.last
        elif shard.start_at:
            start = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": shard.start_at}
        answer = self._api.get_shard_iterator(StreamName=self.stream, ShardId=name, **start)
        return str(answer["ShardIterator"])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except NoCredentialsError:
            raise SourceError(
                f"Kinesis stream {self.stream}: no AWS credentials were found; set AWS_PROFILE or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"
            ) from None
        except ClientError as error:
            raise SourceError(_refusal(self.stream, error)) from None
        except BotoCoreError as error:
            raise SourceError(
                f"Kinesis stream {self.stream} cannot be reached: {error}; correct "
                "source.kinesis.region or endpoint_url, or run again later, nothing was lost"
            ) from None


@cache
def _client(region: str, endpoint_url: str) -> Any:
    retries = Config(retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.Session().client(
        "kinesis", region_name=region, endpoint_url=endpoint_url or None, config=retries
    )


def _record(given: dict[str, Any]) -> Record:
    return Record(given["SequenceNumber"], given["Data"], given["ApproximateArrivalTimestamp"])


def _server_time(answer: dict[str, Any]) -> int:
    sent_at = answer["ResponseMetadata"]["HTTPHeaders"]["date"]
    return int(parsedate_to_datetime(sent_at).timestamp())


def _refusal(stream: str, error: ClientError) -> str:
    code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
    if code == "ResourceNotFoundException" and "shardId-" in message:
        return (
            f"Kinesis stream {stream} no longer holds a shard that was not read to its end "
            f"({message}); {GO_ON}"
        )
    if code == "ResourceNotFoundException":
        return f"Kinesis stream {stream} does not exist; create it or set source.kinesis.stream"
    return f"Kinesis stream {stream}: {code}: {message}; mend that and run again, nothing was lost"
