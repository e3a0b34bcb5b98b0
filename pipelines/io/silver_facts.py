"""What the tables say of the silver stream: what became of its rows, and how far it is behind."""

import json
from collections.abc import Iterator
from itertools import count

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.io.files import text_of
from pipelines.io.lake import table_path
from pipelines.io.read import read
from pipelines.io.stream_report import Facts
from pipelines.settings import Settings
from pipelines.silver.batches import BATCHES

# Column of silver.batches -> name under which it is shown.
_OUTCOMES = {
    "valid": "valid",
    "refused": "rejected",
    "duplicate": "duplicate",
    "late": "late",
    "seen": "seen",
}


def silver_facts(spark: SparkSession, settings: Settings, offset: str) -> Facts:
    """The sums of `silver.batches`, and the rows of bronze after an offset of its stream.

    Args:
        offset: as Delta's source reports it; empty before the first batch.
    """
    sums = [F.coalesce(F.sum(name), F.lit(0)).alias(shown) for name, shown in _OUTCOMES.items()]
    (row,) = read(spark, settings, BATCHES.name).agg(*sums).collect()
    at = json.loads(offset or "null")
    if not at or at["isStartingVersion"]:  # its index counts files of a snapshot, not of the log
        return Facts(row.asDict())
    lag = sum(_rows_after(spark, settings, at["reservoirVersion"], at["index"]))
    return Facts(row.asDict(), lag, "rows")


def _rows_after(spark: SparkSession, settings: Settings, version: int, index: int) -> Iterator[int]:
    """Rows of each file that was added to bronze after the file at `index` of a version.

    Those of a commit of `erase`, which replaces files, are passed over as by the stream.
    """
    for number in count(version):
        log = text_of(spark, f"{table_path(settings, EVENTS.name)}/_delta_log/{number:020}.json")
        if not log:
            return
        actions = [json.loads(line) for line in log.splitlines()]
        if any(action.get("remove", {}).get("dataChange") for action in actions):
            continue
        files = [a["add"] for a in actions if "add" in a and a["add"]["dataChange"]]
        for add in files[index + 1 :] if number == version else files:
            yield json.loads(add["stats"])["numRecords"]
