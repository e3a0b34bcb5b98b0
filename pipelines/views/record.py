"""What a view's commit says of itself, and the ledger of refreshes that follows from it.

The record is part of the commit that changes the view, so the two cannot disagree. The ledger is
written after it; what a crash between the two leaves out is added by the next refresh.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from pyspark.sql import SparkSession

from pipelines.gold.refreshes import REFRESHES
from pipelines.io.read import exists, last_write, read, schema_of, version_of
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.view import View


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
    info = last_write(spark, settings, view.name)
    try:
        found = Shown(**json.loads(info["userMetadata"]))
    except (KeyError, ValueError, TypeError):
        return None
    if found.rows is not None:
        return found
    rows = int((info.get("operationMetrics") or {}).get("numOutputRows", 0))
    return Shown(**{**asdict(found), "rows": rows, "added_rows": rows})


def log_refreshes(spark: SparkSession, settings: Settings, views: Iterable[View]) -> None:
    """Add the newest refresh of each view to the ledger, unless it is there."""
    rows = []
    for view in views:
        found = shown(spark, settings, view)
        if found is not None:
            rows.append(_entry(view.name, version_of(spark, settings, view.name), found))
    if not rows:
        return
    entries = spark.createDataFrame(rows, schema_of(REFRESHES))
    if exists(spark, settings, REFRESHES.name):
        known = read(spark, settings, REFRESHES.name).select("view", "refreshed_at")
        entries = entries.join(known, ["view", "refreshed_at"], "left_anti")
    write(entries.select(*REFRESHES.columns).coalesce(1), settings, REFRESHES)


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
        datetime.fromtimestamp(found.at, UTC),
    )
