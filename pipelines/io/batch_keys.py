"""What decides on a batch as a whole: of every event a few bytes, held by the driver.

18 bytes an event. Counts, medians and repeated ids of a million take 0.2 s of a core here;
Spark's aggregations over the same rows took 4 s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

VALID, REFUSED, DUPLICATE, LATE = "valid", "refused", "duplicate", "late"
SEEN = "seen"  # the very row of bronze stands in silver: it is read again
OUTCOMES = (VALID, REFUSED, DUPLICATE, LATE, SEEN)


@dataclass(frozen=True)
class Part:
    """The rows of a batch with one outcome for one table, and their event times if valid."""

    rows: int
    first: datetime | None = None
    median: datetime | None = None
    last: datetime | None = None


Parts = Mapping[tuple[str, str], Part]  # (table name, outcome)


def keys_of(events: DataFrame, tables: Sequence[str]) -> pd.DataFrame:
    """The keys of events that have a table, an outcome, an id and a time.

    Returns:
        One row per event: `table` and `outcome` as places in `tables` and `OUTCOMES`, `id_hash`
        (xxhash64), `occurred_at` (microseconds since 1970 UTC; 0 if unknown).
    """
    keys = events.select(
        _place("table_name", tables).alias("table"),
        _place("outcome", OUTCOMES).alias("outcome"),
        F.xxhash64("event_id").alias("id_hash"),
        F.coalesce(F.unix_micros("occurred_at"), F.lit(0)).alias("occurred_at"),
    )
    return pd.DataFrame(keys.toArrow().to_pandas())


def is_valid(keys: pd.DataFrame) -> "pd.Series[bool]":
    return keys["outcome"] == OUTCOMES.index(VALID)


def repeated_ids(keys: pd.DataFrame) -> set[int]:
    """Hashes of the ids that more than one valid event has."""
    hashes = keys["id_hash"][is_valid(keys)]
    return set(hashes[hashes.duplicated()])


def parts_of(keys: pd.DataFrame, tables: Sequence[str]) -> Parts:
    """Rows and event times by table and outcome."""
    times = keys.groupby(["table", "outcome"])["occurred_at"]
    counted = times.agg(["size", "min", "median", "max"]).reset_index()
    found: dict[tuple[str, str], Part] = {}
    for row in counted.to_dict("records"):
        outcome = OUTCOMES[row["outcome"]]
        names = ("min", "median", "max") if outcome == VALID else ()
        found[tables[row["table"]], outcome] = Part(row["size"], *(_instant(row[n]) for n in names))
    return found


def _place(column: str, names: Sequence[str]) -> Column:
    """The place of a text among names, as one byte."""
    place = F.lit(None).cast("tinyint")
    for number, name in enumerate(names):
        place = F.when(F.col(column) == name, F.lit(number).cast("tinyint")).otherwise(place)
    return place


def _instant(micros: float) -> datetime:
    """As PySpark gives instants: naive, in the zone of this process."""
    seconds, micro = divmod(int(micros), 1_000_000)
    return datetime.fromtimestamp(seconds).replace(microsecond=micro)
