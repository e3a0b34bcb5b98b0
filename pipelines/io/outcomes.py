"""What becomes of the events of a batch: typed, each with an outcome, and how many have which."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.io.batch_keys import DUPLICATE, LATE, REFUSED, SEEN, VALID, Parts, keys_of, parts_of
from pipelines.registry import SILVER_EVENTS
from pipelines.silver.event import FIELDS, typed_events
from pipelines.silver.plain_event import plain_events
from pipelines.table import ORIGIN, Append, Table

_TYPED = (
    *ORIGIN,
    "payload",
    "produced_at",
    "payload_hash",
    *(name for name in FIELDS if name != "event_type"),
    "attributes",
    "table_name",
)
_COLUMNS = (*_TYPED, "reasons", "outcome")
# The names that a typed event may have as its table's.
TAKING = (EVENTS.name, *(table.name for table in SILVER_EVENTS))
_NO_REASONS = "CAST(array() AS ARRAY<STRING>)"


@dataclass(frozen=True)
class Outcomes:
    """The events of a batch: the many that are valid, and the few that something is about.

    Both are cut from their plans. The few are worked on by themselves, so that what is asked of
    them costs the many nothing; of the many, what is asked is asked of their keys.

    Attributes:
        keys: of `plain`, as `batch_keys.keys_of` gives them with the tables of `TAKING`.
    """

    plain: DataFrame
    special: DataFrame
    keys: pd.DataFrame

    def of(self, table: Table, outcome: str) -> DataFrame:
        is_of = (F.col("table_name") == table.name) & (F.col("outcome") == outcome)
        few = self.special.where(is_of)
        return self.plain.where(is_of).unionByName(few) if outcome == VALID else few

    def parts(self) -> Parts:
        """Rows and event times by table and outcome."""
        return parts_of(pd.concat([self.keys, keys_of(self.special, TAKING)]), TAKING)


def outcomes(bronze_rows: DataFrame) -> Outcomes:
    """A batch as typed events, each with the outcome `valid` or `refused`."""
    is_plain = F.col("is_plain")
    quick = plain_events(bronze_rows, SILVER_EVENTS)
    # A checkpoint cuts the plan, which persist does not: planning each of the ten writes anew
    # from bronze took 3 s a write where the write itself takes 0.4 s.
    cut = quick.select(*_TYPED, "is_plain").localCheckpoint()
    plain = cut.where(is_plain).withColumns(
        {"reasons": F.expr(_NO_REASONS), "outcome": F.lit(VALID)}
    )
    # One task for the few: each task makes Spark generate the code of its plan anew.
    rest = cut.where(~is_plain).select(*ORIGIN, "payload", "produced_at").coalesce(1)
    careful = typed_events(rest, SILVER_EVENTS).withColumn(
        "outcome", F.when(F.size("reasons") == 0, VALID).otherwise(REFUSED)
    )
    special = careful.select(*_COLUMNS).localCheckpoint()
    plain = plain.select(*_COLUMNS)
    return Outcomes(plain, special, keys_of(plain, TAKING))


def with_late(batch: Outcomes, bound: datetime) -> Outcomes:
    """Valid facts that happened before `bound` become late."""
    facts = [table.name for table in SILVER_EVENTS if isinstance(table.write, Append)]
    is_late = (
        F.col("table_name").isin(facts)
        & (F.col("outcome") == VALID)
        & (F.col("occurred_at") < F.lit(bound))
    )
    outcome = F.when(is_late, LATE).otherwise(F.col("outcome"))
    special = batch.plain.where(is_late).unionByName(batch.special)
    special = special.withColumn("outcome", outcome).localCheckpoint()
    plain = batch.plain.where(~is_late)
    return Outcomes(plain, special, keys_of(plain, TAKING))


def suspected(batch: Outcomes, hashes: Collection[int]) -> Outcomes:
    """The events of these ids are no longer taken for plain."""
    ids = batch.plain.sparkSession.createDataFrame(pd.DataFrame({"id_hash": sorted(hashes)}))
    found = _has_hash(ids, "left_semi", batch.plain).unionByName(batch.special)
    is_found = batch.keys["id_hash"].isin(hashes)
    rest = _has_hash(ids, "left_anti", batch.plain)
    return Outcomes(rest, found.localCheckpoint(), batch.keys[~is_found])


def with_verdicts(batch: Outcomes, judged: DataFrame) -> Outcomes:
    """A repeated event becomes a duplicate, a reused id is refused.

    Args:
        batch: what there is a verdict on is among its special events.
        judged: as `duplicates.verdicts` gives it.
    """
    marked = (
        batch.special.coalesce(1)
        .join(F.broadcast(judged.select(*ORIGIN, "verdict")), list(ORIGIN), "left")
        .withColumns({"outcome": _outcome(), "reasons": _reasons()})
    )
    return replace(batch, special=marked.select(*_COLUMNS).localCheckpoint())


def with_payloads(batch: Outcomes, source: DataFrame) -> Outcomes:
    """What is refused or late has its payload again, also where it looked plain.

    Args:
        source: rows with the origin and the `payload` of all events of the batch, maybe of more.
    """
    lacks = F.col("payload").isNull() & F.col("event_id").isNotNull()
    lacking = batch.special.where(lacks & F.col("outcome").isin(REFUSED, LATE)).select(*ORIGIN)
    offset = F.col("source_offset")
    count, first, last = lacking.agg(F.count("*"), F.min(offset), F.max(offset)).collect()[0]
    if not count:
        return batch
    near = source.where(offset.between(first, last)).select(*ORIGIN, F.col("payload").alias("own"))
    own = near.join(lacking, list(ORIGIN), "left_semi")
    payload = F.coalesce("payload", "own")
    special = batch.special.join(own, list(ORIGIN), "left").withColumn("payload", payload)
    return replace(batch, special=special.select(*_COLUMNS).localCheckpoint())


def _has_hash(ids: DataFrame, how: str, events: DataFrame) -> DataFrame:
    same = F.xxhash64(events["event_id"]) == ids["id_hash"]
    return events.join(F.broadcast(ids), same, how)


def _outcome() -> Column:
    return (
        F.when(F.col("verdict") == "conflict", REFUSED)
        .when(F.col("verdict") == "duplicate", DUPLICATE)
        .when(F.col("verdict") == "seen", SEEN)
        .otherwise(F.col("outcome"))
    )


def _reasons() -> Column:
    is_reused = F.col("verdict") == "conflict"
    return F.when(is_reused, F.array(F.lit("event_id_reused"))).otherwise(F.col("reasons"))


def count_of(parts: Parts, outcome: str) -> int:
    """Rows of a batch with an outcome, over all tables."""
    return sum(part.rows for (_, found), part in parts.items() if found == outcome)
