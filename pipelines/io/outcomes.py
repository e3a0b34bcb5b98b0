"""What becomes of the events of a batch: typed, each with an outcome, and how many have which."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.registry import SILVER_EVENTS
from pipelines.silver.event import FIELDS, typed_events
from pipelines.silver.plain_event import plain_events
from pipelines.table import ORIGIN, Append, Table

VALID, REFUSED, DUPLICATE, LATE = "valid", "refused", "duplicate", "late"
SEEN = "seen"  # the very row of bronze stands in silver: it is read again
_ODD = "odd"  # not plain: to be read with all care

_COLUMNS = (
    *ORIGIN,
    "payload",
    "produced_at",
    "payload_hash",
    *FIELDS,
    "attributes",
    "table_name",
    "reasons",
    "outcome",
)
_NO_REASONS = "CAST(array() AS ARRAY<STRING>)"


@dataclass(frozen=True)
class Part:
    """The rows of a batch with one outcome for one table, and their event times."""

    rows: int
    first: datetime | None
    median: datetime | None
    last: datetime | None


Parts = Mapping[tuple[str, str], Part]  # (table name, outcome)


@dataclass(frozen=True)
class Outcomes:
    """The events of a batch: the many that are valid, and the few that something is about.

    Both are cut from their plans. The few are worked on by themselves, so that what is asked of
    them costs the many nothing.
    """

    plain: DataFrame
    special: DataFrame

    def events(self) -> DataFrame:
        return self.plain.unionByName(self.special)

    def of(self, table: Table, outcome: str) -> DataFrame:
        is_of = (F.col("table_name") == table.name) & (F.col("outcome") == outcome)
        few = self.special.where(is_of)
        return self.plain.where(is_of).unionByName(few) if outcome == VALID else few

    def parts(self) -> Parts:
        """Rows and event times by table and outcome."""
        rows = (
            self.events()
            .groupBy("table_name", "outcome")
            .agg(
                F.count("*").alias("rows"),
                F.min("occurred_at").alias("first"),
                F.percentile_approx("occurred_at", 0.5, 100).alias("median"),
                F.max("occurred_at").alias("last"),
            )
        )
        return {
            (row["table_name"], row["outcome"]): Part(
                row["rows"], row["first"], row["median"], row["last"]
            )
            for row in rows.collect()
        }


def outcomes(bronze_rows: DataFrame) -> Outcomes:
    """A batch as typed events, each with the outcome `valid` or `refused`."""
    quick = plain_events(bronze_rows, SILVER_EVENTS).withColumns(
        {
            "reasons": F.expr(_NO_REASONS),
            "outcome": F.when(F.col("is_plain"), VALID).otherwise(_ODD),
        }
    )
    # A checkpoint cuts the plan, which persist does not: planning each of the ten writes anew
    # from bronze took 3 s a write where the write itself takes 0.4 s.
    cut = quick.select(*_COLUMNS).localCheckpoint()
    # One task for the few: each task makes Spark generate the code of its plan anew.
    rest = cut.where(F.col("outcome") == _ODD).coalesce(1)
    is_valid = F.size("reasons") == 0
    careful = typed_events(
        rest.select(*ORIGIN, "payload", "produced_at"), SILVER_EVENTS
    ).withColumn("outcome", F.when(is_valid, VALID).otherwise(REFUSED))
    return Outcomes(
        cut.where(F.col("outcome") == VALID), careful.select(*_COLUMNS).localCheckpoint()
    )


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
    return Outcomes(
        batch.plain.where(~is_late), special.withColumn("outcome", outcome).localCheckpoint()
    )


def with_verdicts(batch: Outcomes, id_hashes: DataFrame, judged: DataFrame) -> Outcomes:
    """A repeated event becomes a duplicate, a reused id is refused.

    Args:
        id_hashes: `id_hash` of every id that there is a verdict on.
        judged: as `duplicates.verdicts` gives it.
    """
    suspected = _has_hash(id_hashes, "left_semi", batch.plain).unionByName(batch.special)
    suspected = suspected.coalesce(1)
    marked = suspected.join(
        F.broadcast(judged.select(*ORIGIN, "verdict")), list(ORIGIN), "left"
    ).withColumns({"outcome": _outcome(), "reasons": _reasons()})
    return Outcomes(
        _has_hash(id_hashes, "left_anti", batch.plain), marked.select(*_COLUMNS).localCheckpoint()
    )


def _has_hash(id_hashes: DataFrame, how: str, events: DataFrame) -> DataFrame:
    same = F.xxhash64(events["event_id"]) == id_hashes["id_hash"]
    return events.join(F.broadcast(id_hashes), same, how)


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
