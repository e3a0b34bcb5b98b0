"""What a lake's folder shows of its streams and tables at this moment, by names of files alone."""

import json
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable
from invariants import sizes
from protocol import applied, numbers

SILVER = "silver"


@dataclass(frozen=True)
class Stream:
    """A stream: its checkpoint, and the tables of which the last commit ends a batch."""

    name: str
    stage: str
    first: str
    last: str


def streams(topic: str) -> dict[str, Stream]:
    bronze = Stream(f"bronze-kafka-{topic}", "bronze", "bronze.events", "bronze.events")
    return {
        "bronze": bronze,
        SILVER: Stream(SILVER, SILVER, "silver.purchases", "silver.batches"),
    }


@dataclass(frozen=True)
class Disk:
    root: Path

    def checkpoint(self, stream: Stream) -> Path:
        return self.root / "_checkpoints" / stream.name

    def begun(self, stream: Stream) -> int:
        return max(numbers(self.checkpoint(stream) / "offsets"), default=-1)

    def done(self, stream: Stream) -> int:
        return max(numbers(self.checkpoint(stream) / "commits"), default=-1)

    def table(self, name: str) -> Path:
        return self.root / name.replace(".", "/")

    def version(self, name: str) -> int:
        log = self.table(name) / "_delta_log"
        names = (file.name for file in log.iterdir()) if log.is_dir() else ()
        found = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return max((int(one) for one in found if one.isdigit()), default=-1)

    def files(self, name: str) -> frozenset[str]:
        folder = self.table(name)
        found = (file.name for file in folder.iterdir()) if folder.is_dir() else ()
        return frozenset(one for one in found if one.endswith(".parquet"))

    def strays(self, name: str) -> set[str]:
        """Data files that the newest version does not show."""
        if self.version(name) < 0:
            return set(self.files(name))
        return set(self.files(name)) - set(sizes(DeltaTable(str(self.table(name)))))

    def locked_at(self, name: str) -> int:
        """When the lock of a table was last taken."""
        lock = self.root / "_state" / "locks" / f"{name}.lock"
        return lock.stat().st_mtime_ns if lock.exists() else 0

    def taken_in(self, stream: Stream, table: str) -> int:
        """The newest batch of the stream that the table's log has."""
        metadata = self.checkpoint(stream) / "metadata"
        if not metadata.exists():
            return -1
        own = json.loads(metadata.read_text())["id"]
        return applied(self.root, table, f"{stream.stage}-{own}")

    def forget(self, stream: Stream) -> int:
        """Delete the newest `commits/N`: what a death after the last write leaves; N."""
        number = self.done(stream)
        last = self.checkpoint(stream) / "commits" / str(number)
        last.unlink()
        last.with_name(f".{number}.crc").unlink(missing_ok=True)
        return number
