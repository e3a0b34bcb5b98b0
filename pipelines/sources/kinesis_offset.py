"""How far each shard of a Kinesis stream has been read: pure functions, kept as JSON by Spark.

The offset holds the shards that are still to be read, never all that there ever were. It starts
with the oldest ones; a shard that has ended is followed by its children, and then leaves.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pipelines.errors import SourceError

# What to do when records are gone that were not read.
GO_ON = (
    "to go on with what is left delete the stream's checkpoint (what is read twice is dropped by "
    "its event_id), and let the stream keep its records for longer"
)

Parents = Mapping[str, tuple[str, ...]]  # by shard id, the shards that it came from


@dataclass(frozen=True)
class Shard:
    """How far one shard has been read.

    Attributes:
        parents: the shards that it was split from or merged of.
        start_at: epoch seconds from which it is read; 0: from its oldest record on.
        first: sequence number of the first record that was read; empty before.
        last: sequence number of the last record that was read; empty before.
        count: records that were read.
        read_until: epoch seconds; all that arrived before has been read. 0: unknown.
        ended: it is closed and has been read to its end.
    """

    parents: tuple[str, ...] = ()
    start_at: int = 0
    first: str = ""
    last: str = ""
    count: int = 0
    read_until: int = 0
    ended: bool = False


@dataclass(frozen=True)
class Offset:
    """All shards to be read, and the second in which the stream was created."""

    created: int
    shards: Mapping[str, Shard]

    def to_json(self) -> dict[str, Any]:
        shards = {name: asdict(shard) | {"parents": list(shard.parents)} for name, shard in
                  sorted(self.shards.items())}  # fmt: skip
        return {"created": self.created, "shards": shards}

    @staticmethod
    def from_json(given: Mapping[str, Any]) -> "Offset":
        shards = {
            name: Shard(**{**values, "parents": tuple(values["parents"])})
            for name, values in given["shards"].items()
        }
        return Offset(given["created"], shards)


def first_offset(created: int, listed: Parents, start_at: int) -> Offset:
    """The listed shards that have no listed parent; the others follow when these have ended."""
    roots = {name: parents for name, parents in listed.items() if not listed.keys() & set(parents)}
    return Offset(created, {name: Shard(parents, start_at) for name, parents in roots.items()})


def awaits_children(shards: Mapping[str, Shard]) -> bool:
    """Whether a shard has ended whose children are not among `shards` yet."""
    return any(shard.ended for name, shard in shards.items() if name not in _parents(shards))


def with_children(shards: Mapping[str, Shard], listed: Parents) -> dict[str, Shard]:
    """`shards` and those listed children of theirs all of whose parents have been read.

    A parent that is neither listed nor among `shards` was gone before the stream was first read.
    """
    ended = {name for name, shard in shards.items() if shard.ended}
    unread = (shards.keys() | listed.keys()) - ended
    children = {
        name: Shard(parents, max(shards[p].start_at for p in parents if p in ended))
        for name, parents in listed.items()
        if name not in shards and ended & set(parents) and not unread & set(parents)
    }
    return {**shards, **children}


def without_left(shards: Mapping[str, Shard], before: Mapping[str, Shard]) -> dict[str, Shard]:
    """`shards` without those that had ended, and were followed by their children, `before`."""
    followed = _parents(before)
    left = {name for name, shard in before.items() if shard.ended and name in followed}
    return {name: shard for name, shard in shards.items() if name not in left}


def _parents(shards: Mapping[str, Shard]) -> set[str]:
    return {parent for shard in shards.values() for parent in shard.parents}


def shares(shards: Mapping[str, Shard], records: int) -> dict[str, int]:
    """How many records to read of each shard: at most `records` in all, those behind most first."""
    unread = sorted(
        (name for name, shard in shards.items() if not shard.ended),
        key=lambda name: (shards[name].read_until, name),
    )[:records]
    return {name: records // len(unread) for name in unread}


def advanced(
    shard: Shard, sequence_numbers: list[str], read_until: int, *, ended: bool, idle_s: int
) -> Shard:
    """A shard after some of its records were read.

    Args:
        sequence_numbers: of the records, oldest first.
        read_until: see `Shard`.
        idle_s: seconds after which the time alone is worth a new offset, and so an empty batch.
    """
    if sequence_numbers:
        return replace(
            shard,
            first=shard.first or sequence_numbers[0],
            last=sequence_numbers[-1],
            count=shard.count + len(sequence_numbers),
            read_until=read_until,
            ended=ended,
        )
    if ended or read_until - shard.read_until >= idle_s:
        return replace(shard, read_until=read_until, ended=ended)
    return shard


def require_unbroken(stream: str, offset: Offset, created: int, now: int, retention_s: int) -> None:
    """Make sure that nothing between `offset` and now can have left the stream unread.

    Kinesis goes on silently with the oldest record that it still has, so time must tell.

    Raises:
        SourceError: the stream was recreated, or a shard was last read longer ago than records
            are kept.
    """
    if offset.created != created:
        raise SourceError(
            f"Kinesis stream {stream} was deleted and created again since it was last read; read "
            "it under a new name (source.kinesis.stream), what was read is safe"
        )
    oldest = now - retention_s
    for name, shard in offset.shards.items():
        if not shard.ended and 0 < shard.read_until < oldest:
            hours = (now - shard.read_until) // 3600
            raise SourceError(
                f"Kinesis stream {stream}: {name} was last read {hours} hours ago and keeps "
                f"records for {retention_s // 3600}, so some may have expired unread; {GO_ON}"
            )
