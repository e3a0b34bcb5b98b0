"""What single commits of a table did, as its log says; no job runs and no row is read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession

from pipelines.io.files import text_of
from pipelines.io.lake import table_path
from pipelines.settings import Settings


@dataclass(frozen=True)
class Commit:
    """One commit.

    Attributes:
        info: what it says of itself: operation, metrics, `userMetadata`.
        changed_rows: rows that came or went, as far as the log tells; an update counts as two.
        changed_bytes: size of the files that its change feed is read from.
        removes: whether rows may have gone.
    """

    info: dict[str, Any]
    changed_rows: int
    changed_bytes: int
    removes: bool


def commit(spark: SparkSession, settings: Settings, name: str, version: int) -> Commit | None:
    """One commit of a table; None if its log entry is gone."""
    entry = text_of(spark, f"{table_path(settings, name)}/_delta_log/{version:020}.json")
    if not entry:
        return None
    actions = [json.loads(line) for line in entry.splitlines() if line]
    info: dict[str, Any] = next((a["commitInfo"] for a in actions if "commitInfo" in a), {})
    feed = [a["cdc"] for a in actions if "cdc" in a]
    files = [*_of(actions, "add"), *_of(actions, "remove")]
    read = feed or [file for file in files if file.get("dataChange")]
    return Commit(
        info=info,
        changed_rows=_rows(info, _of(actions, "add"), bool(feed)) if read else 0,
        changed_bytes=sum(file.get("size") or 0 for file in read),
        removes=bool(feed) or any(file.get("dataChange") for file in _of(actions, "remove")),
    )


def _of(actions: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [action[kind] for action in actions if kind in action]


def _rows(info: dict[str, Any], added: list[dict[str, Any]], has_feed: bool) -> int:
    metrics = info.get("operationMetrics") or {}
    counts = dict(_counts(metrics))
    if has_feed or "Deleted" in counts:
        return sum(counts.values())
    stats = (json.loads(file.get("stats") or "{}") for file in added if file.get("dataChange"))
    return sum(int(s.get("numRecords", 0)) for s in stats)


def _counts(metrics: dict[str, str]) -> Iterator[tuple[str, int]]:
    """How many rows a MERGE, UPDATE or DELETE added, changed and removed."""
    weights = {"Inserted": 1, "Updated": 2, "Deleted": 1}
    for kind, weight in weights.items():
        for key in (f"numTargetRows{kind}", f"num{kind}Rows"):
            if int(metrics.get(key, 0)):
                yield kind, weight * int(metrics[key])
                break
