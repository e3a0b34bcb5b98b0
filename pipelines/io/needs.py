"""Who still needs a table's old versions: views, streams in their checkpoints, running readers."""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pyspark.sql import SparkSession

from pipelines.io.files import TableFiles, committed_at, names_in
from pipelines.io.lake import checkpoint_path
from pipelines.io.leases import leases
from pipelines.io.read import exists, last_metadata
from pipelines.registry import VIEWS
from pipelines.settings import Settings

_HOUR_S = 3600


@dataclass(frozen=True)
class Need:
    """Someone goes on from a version of a table: of what is newer, nothing may be missing.

    Attributes:
        table: a table's name, or its id as a checkpoint has it.
        version: the newest that is done with; -1 if there is none.
    """

    table: str
    version: int
    who: str


def needs(spark: SparkSession, settings: Settings) -> list[Need]:
    """The needs of views and streams; as these go on, they only come to need less."""
    return [*_of_views(spark, settings), *_of_streams(spark, settings)]


def holding(
    spark: SparkSession,
    settings: Settings,
    name: str,
    files: TableFiles,
    known: Iterable[Need],
) -> list[str]:
    """Who needs files of the table that have outlived retention, and so could be deleted.

    Running readers are looked up anew, `known` are the needs of all others.

    The first commit after the version that someone goes on from is the first that may have
    removed a file of it. While that commit is younger than retention, VACUUM keeps the file.
    """
    oldest_kept = time.time() - settings.maintain.retention_hours * _HOUR_S
    found = []
    for need in (*known, *_of_readers(settings)):
        if need.table not in (name, files.table_id) or need.version >= files.version:
            continue
        at = committed_at(spark, settings, name, need.version + 1)
        if at is None or at < oldest_kept:
            found.append(f"{need.who}, from version {need.version + 1}")
    return found


def _of_readers(settings: Settings) -> Iterator[Need]:
    for lease in leases(settings):
        for table, version in lease.versions.items():
            yield Need(table, version, lease.who)


def _of_views(spark: SparkSession, settings: Settings) -> Iterator[Need]:
    for view in VIEWS:
        if exists(spark, settings, view.name):
            metadata = json.loads(last_metadata(spark, settings, view.name) or "{}")
            for table, version in metadata.get("sources", {}).items():
                yield Need(table, version, view.name)


def _of_streams(spark: SparkSession, settings: Settings) -> Iterator[Need]:
    """Streams that read a table: each goes on from the offset that it committed last."""
    root = checkpoint_path(settings, "").rstrip("/")
    for stream in names_in(spark, root):
        offsets = _numbers(names_in(spark, f"{root}/{stream}/offsets"))
        done = [n for n in _numbers(names_in(spark, f"{root}/{stream}/commits")) if n in offsets]
        if not offsets:
            continue
        log = f"{root}/{stream}/offsets/{done[-1] if done else offsets[0]}"
        for line in spark.read.text(log).collect():
            if '"reservoirId"' in line["value"]:
                offset = json.loads(line["value"])
                # The version itself may be read in part; before the first batch, not at all.
                version = offset["reservoirVersion"] - 1 if done else -1
                yield Need(offset["reservoirId"], version, f"stream {stream}")


def _numbers(names: Iterable[str]) -> list[int]:
    return sorted(int(name) for name in names if name.isdigit())
