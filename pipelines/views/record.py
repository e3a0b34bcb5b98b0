"""What a view's commit says of itself, and the ledger of refreshes that follows from it.

The record is part of the commit that changes the view, so the two cannot disagree. The ledger is
written after it; what a crash between the two leaves out is added by the view's next refresh.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from pyspark.sql import Column, SparkSession
from pyspark.sql import functions as F

from pipelines.gold.refreshes import REFRESHES
from pipelines.io.commits import commit
from pipelines.io.read import (
    NOT_YET,
    UPKEEP,
    exists,
    last_write,
    read,
    schema_of,
    version_of,
)
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.view import View

Noted = tuple[Any, ...]  # a refresh in the ledger: view, version, microseconds since 1970

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOKS_BACK = 50  # more refreshes of a view than die in a row before they are noted


@dataclass(frozen=True)
class Shown:
    """What a view shows, and how it came to.

    Attributes:
        sources: table -> version.
        sql_digest: of the SQL that it was computed by.
        tables: source -> identity of the table of that name.
        rows: of the view; None if only its commit's metrics tell.
    """

    sources: dict[str, int]
    sql_digest: str
    tables: dict[str, str]
    rows: int | None
    strategy: str
    reason: str
    from_sources: dict[str, int]
    changed_rows: int
    changed_bytes: int
    touched_keys: int
    removed_rows: int
    added_rows: int
    seconds: float
    at: float

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def shown(spark: SparkSession, settings: Settings, view: View) -> Shown | None:
    """The record of a view; None if it has none: never refreshed, or written by a stranger."""
    return _record_of(last_write(spark, settings, view.name))


def _record_of(info: dict[str, Any]) -> Shown | None:
    """What a commit says of itself, if it is a refresh."""
    try:
        found = Shown(**json.loads(info["userMetadata"]))
    except (KeyError, ValueError, TypeError):
        return None
    if found.rows is not None:
        return found
    rows = int((info.get("operationMetrics") or {}).get("numOutputRows", 0))
    return Shown(**{**asdict(found), "rows": rows, "added_rows": rows})


def log_refreshes(spark: SparkSession, settings: Settings, views: Iterable[View]) -> None:
    """Add the newest refreshes of each view to the ledger, back to the first that is there."""
    made = {view.name: version_of(spark, settings, view.name) for view in views}
    noted = _noted(spark, settings, made)
    rows = [
        entry
        for name, newest in made.items()
        for entry in _not_noted(spark, settings, name, newest, noted)
    ]
    if rows:
        entries = spark.createDataFrame(rows, schema_of(REFRESHES))
        write(entries.select(*REFRESHES.columns).coalesce(1), settings, REFRESHES)


def _noted(spark: SparkSession, settings: Settings, made: Mapping[str, int]) -> set[Noted]:
    """The latest entries of the ledger about these views; by name and newest version."""
    if not made or not exists(spark, settings, REFRESHES.name):
        return set()
    is_recent = (
        (F.col("view") == name) & (F.col("view_version") > newest - _LOOKS_BACK)
        for name, newest in made.items()
    )
    recent = read(spark, settings, REFRESHES.name).where(reduce(Column.__or__, is_recent))
    at = F.unix_micros("refreshed_at")
    return {tuple(row) for row in recent.select("view", "view_version", at).collect()}


def _not_noted(
    spark: SparkSession, settings: Settings, name: str, newest: int, noted: set[Noted]
) -> Iterator[tuple[object, ...]]:
    """Entries for the refreshes after the latest one that the ledger has."""
    for version in range(newest, max(NOT_YET, newest - _LOOKS_BACK), -1):
        made = commit(spark, settings, name, version)
        found = _record_of(made.info) if made and made.info.get("operation") not in UPKEEP else None
        if found is None:
            continue
        if (name, version, (_instant(found.at) - _EPOCH) // timedelta(microseconds=1)) in noted:
            return
        yield _entry(name, version, found)


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _entry(name: str, version: int, found: Shown) -> tuple[object, ...]:
    return (
        name,
        version,
        found.strategy,
        found.reason,
        found.from_sources,
        found.sources,
        found.changed_rows,
        found.changed_bytes,
        found.touched_keys,
        found.removed_rows,
        found.added_rows,
        found.seconds,
        _instant(found.at),
    )
