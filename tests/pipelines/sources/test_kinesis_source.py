"""The reader of a Kinesis stream, without Spark, on streams whose shards change all the time."""

import random
from collections import defaultdict
from typing import Any

import pytest
from kinesis_server import REGION, KinesisServer

from pipelines.errors import SourceError
from pipelines.sources import kinesis_api
from pipelines.sources.kinesis_offset import Offset, Shard, require_unbroken, shares, with_children
from pipelines.sources.kinesis_source import KinesisReader
from pipelines.table import ORIGIN

HOUR = 3600


def reader(server: KinesisServer, stream: str, records: int) -> KinesisReader:
    given = {"stream": stream, "region": REGION, "endpoint_url": server.endpoint_url}
    more = {"start": "TRIM_HORIZON", "max_records_per_trigger": str(records)}
    return KinesisReader(given | more)


def rows_of(batches: Any) -> list[dict[str, Any]]:
    return [row for batch in batches for row in batch.to_pylist()]


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ORIGIN)


@pytest.mark.parametrize("seed", range(6))
def test_each_record_is_read_once_after_all_of_its_shards_parents(
    kinesis: KinesisServer, seed: int
) -> None:
    chance, stream, sent = random.Random(seed), f"random-{seed}", 0
    kinesis.create(stream, chance.randint(1, 3))
    source = reader(kinesis, stream, records=chance.randint(1, 40))
    offset = source.initialOffset()
    rows: list[dict[str, Any]] = []
    idle = 0
    while idle < 2:
        if sent < 300:
            kinesis.put(stream, (b"%d" % n for n in range(sent, sent + 30)))
            sent += 30
            shards = len(kinesis.open_shards(stream))
            if chance.random() < 0.5:
                kinesis.split(stream, chance.randrange(shards))
            elif shards > 1:
                kinesis.merge(stream, chance.randrange(shards - 1))
        batches, end = source.read(offset)
        found = rows_of(batches)
        again = rows_of(source.readBetweenOffsets(offset, end))
        assert sorted(again, key=key) == sorted(found, key=key)
        assert len(found) <= int(source._options["max_records_per_trigger"])
        rows += found
        idle = idle + 1 if end is offset else 0
        offset = end
    assert sorted(int(row["payload"]) for row in rows) == list(range(300))
    assert len(set(map(key, rows))) == 300
    _require_parents_first(kinesis, stream, [row["source_partition"] for row in rows])


def _require_parents_first(server: KinesisServer, stream: str, order: list[int]) -> None:
    places = defaultdict(list)
    for place, shard in enumerate(order):
        places[shard].append(place)
    for shard in server.api.list_shards(StreamName=stream)["Shards"]:
        for key in ("ParentShardId", "AdjacentParentShardId"):
            parent = places[int(shard[key][-12:])] if key in shard else []
            child = places[int(shard["ShardId"][-12:])]
            assert not parent or not child or max(parent) < min(child)


def test_run_over_what_there_is_ends_while_records_keep_coming(kinesis: KinesisServer) -> None:
    kinesis.create("busy", 1)
    kinesis.put("busy", [b"before"])
    source = reader(kinesis, "busy", records=10)
    source.prepareForTriggerAvailableNow()
    kinesis.put("busy", [b"after"])
    kinesis.grow_older("busy", seconds=-60)
    kinesis.put("busy", [b"later"])
    _, end = source.read(source.initialOffset())
    assert end["shards"]["shardId-000000000000"]["count"] == 0


def test_shard_that_gives_no_more_for_now_is_read_on_next_time(
    kinesis: KinesisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinesis.create("slow", 1)
    kinesis.put("slow", (b"%d" % n for n in range(20)))
    monkeypatch.setattr(kinesis_api, "PAGE_RECORDS", 5)
    source = reader(kinesis, "slow", records=100)
    with kinesis.throttled(after=2):
        batches, middle = source.read(source.initialOffset())
    first = rows_of(batches)
    assert len(first) == 10
    rest = rows_of(source.read(middle)[0])
    assert [int(row["payload"]) for row in first + rest] == list(range(20))


def test_shards_that_are_behind_most_are_read_first_and_all_within_the_bound() -> None:
    shards = {f"s{n}": Shard(read_until=100 - n) for n in range(5)} | {"old": Shard(ended=True)}
    assert shares(shards, 2) == {"s4": 1, "s3": 1}
    assert shares(shards, 103) == {f"s{n}": 20 for n in range(5)}
    assert shares({"old": Shard(ended=True)}, 10) == {}


def test_merged_shard_waits_for_both_parents_even_if_one_is_not_in_the_offset_yet() -> None:
    listed = {"a": (), "b": (), "a1": ("a",), "m": ("a1", "b")}
    after_b = with_children({"a": Shard(), "b": Shard(ended=True)}, listed)
    assert after_b.keys() == {"a", "b"}
    after_a = with_children({"a": Shard(ended=True), "b": Shard(ended=True)}, listed)
    assert after_a.keys() == {"a", "b", "a1"}
    after_a1 = with_children({"a1": Shard(ended=True), "b": Shard(ended=True)}, listed)
    assert after_a1.keys() == {"a1", "b", "m"}


@pytest.mark.parametrize(
    ("shard", "is_gap"),
    [
        (Shard(read_until=75 * HOUR), True),
        (Shard(read_until=77 * HOUR), False),
        (Shard(), False),
        (Shard(read_until=1, ended=True), False),
    ],
    ids=["longer ago than records are kept", "in time", "not read yet", "read to its end"],
)
def test_gap_is_found_by_when_a_shard_was_last_read(shard: Shard, is_gap: bool) -> None:
    offset = Offset(created=1, shards={"shardId-000000000000": shard})
    if is_gap:
        with pytest.raises(SourceError, match="some may have expired unread; to go on"):
            require_unbroken("shop", offset, 1, 100 * HOUR, 24 * HOUR)
    else:
        require_unbroken("shop", offset, 1, 100 * HOUR, 24 * HOUR)
