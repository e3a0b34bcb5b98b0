"""One micro-batch of bronze into silver: typed, checked, without repetition, each row accounted.

The order of the commits makes a repeated batch harmless. What is dropped is computed from the
tables as they stand before the batch and committed first, then the quarantine, then the tables;
each commit carries the batch's transaction, so a repetition after a crash skips what is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.io.read import read
from pipelines.io.write import Transaction, write
from pipelines.registry import SILVER_EVENTS, transformation
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.duplicates import (
    IDENTITY,
    suspected,
    suspects,
    verdicts,
    with_is_latest,
)
from pipelines.silver.event import typed_events
from pipelines.table import ORIGIN, Table, Upsert, quarantine_of

VALID, REFUSED, DUPLICATE = "valid", "refused", "duplicate"
SEEN = "seen"  # the very row of bronze stands in silver: the batch is being repeated


@dataclass(frozen=True)
class _Part:
    """The rows of a batch with one outcome for one table, and the event times they span."""

    rows: int
    first: datetime | None
    last: datetime | None


_Parts = Mapping[tuple[str, str], _Part]  # (table name, outcome)


def write_silver(batch: DataFrame, settings: Settings, transaction: Transaction) -> None:
    """Add one batch of bronze rows to silver, exactly once per transaction."""
    # A checkpoint cuts the plan, which persist does not: planning each of the ten writes anew
    # from bronze took 3 s a write where the write itself takes 0.4 s.
    events = _with_outcome(typed_events(batch, SILVER_EVENTS)).localCheckpoint()
    parts = _parts(events)
    judged = _judge(settings, events, parts)
    if judged is not None:
        events = _with_verdict(events, judged)
        parts = _parts(events)
    upserts = {
        table: _ranked(settings, events, table, table.write)
        for table in SILVER_EVENTS
        if isinstance(table.write, Upsert) and (table.name, VALID) in parts
    }
    _write_dropped(events, parts, upserts, settings, transaction)
    for table in (EVENTS, *SILVER_EVENTS):
        if (table.name, REFUSED) in parts:
            quarantine = quarantine_of(table)
            refused = _of(events, table, REFUSED).select(*quarantine.columns)
            new = _unaccounted(refused, settings, quarantine).coalesce(1)
            write(new, settings, quarantine, transaction=transaction)
    for table in SILVER_EVENTS:
        if (table.name, VALID) in parts:
            rows = (
                upserts[table].where("is_latest AND is_new").select(*table.columns)
                if table in upserts
                else _rows(events, table)
            )
            few_files = rows.coalesce(settings.spark.shuffle_partitions)
            write(few_files, settings, table, transaction=transaction)


def _with_outcome(events: DataFrame) -> DataFrame:
    is_valid = F.size("reasons") == 0
    return events.withColumn("outcome", F.when(is_valid, VALID).otherwise(REFUSED))


def _with_verdict(events: DataFrame, judged: DataFrame) -> DataFrame:
    """A repeated event becomes a duplicate, a reused id is refused."""
    marked = events.join(F.broadcast(judged.select(*ORIGIN, "verdict")), list(ORIGIN), "left")
    reused = F.col("verdict") == "conflict"
    return marked.withColumns(
        {
            "outcome": F.when(reused, REFUSED)
            .when(F.col("verdict") == "duplicate", DUPLICATE)
            .when(F.col("verdict") == "seen", SEEN)
            .otherwise(F.col("outcome")),
            "reasons": F.when(reused, F.array(F.lit("event_id_reused"))).otherwise(
                F.col("reasons")
            ),
        }
    )


def _parts(events: DataFrame) -> _Parts:
    rows = events.groupBy("table_name", "outcome").agg(
        F.count("*").alias("rows"),
        F.min("occurred_at").alias("first"),
        F.max("occurred_at").alias("last"),
    )
    return {
        (row["table_name"], row["outcome"]): _Part(row["rows"], row["first"], row["last"])
        for row in rows.collect()
    }


def _of(events: DataFrame, table: Table, outcome: str) -> DataFrame:
    return events.where((F.col("table_name") == table.name) & (F.col("outcome") == outcome))


def _rows(events: DataFrame, table: Table) -> DataFrame:
    return transformation(table)(_of(events, table, VALID)).select(*table.columns)


def _judge(settings: Settings, events: DataFrame, parts: _Parts) -> DataFrame | None:
    """Verdicts on the valid events that were sent before; None if there are none."""
    spark = events.sparkSession
    known = _known(spark, settings, parts)
    if not known:
        return None
    valid = events.where(F.col("outcome") == VALID).select(*IDENTITY)
    standing = reduce(DataFrame.unionByName, known)
    id_hashes = suspects(valid, standing).localCheckpoint()
    if id_hashes.isEmpty():
        return None
    judged = verdicts(suspected(valid, id_hashes), suspected(standing, id_hashes))
    return judged.localCheckpoint()


def _known(spark: SparkSession, settings: Settings, parts: _Parts) -> list[DataFrame]:
    """Identities of the standing rows among which a resend of this batch may be found.

    An id is unique across the tables of facts, so all of these are looked at.
    """
    facts = [t for t in SILVER_EVENTS if not isinstance(t.write, Upsert)]
    batch = [parts[t.name, VALID] for t in facts if (t.name, VALID) in parts]
    first = min((part.first for part in batch if part.first), default=None)
    last = max((part.last for part in batch if part.last), default=None)
    known = {t: read(spark, settings, t.name) for t in SILVER_EVENTS if (t.name, VALID) in parts}
    if first and last:
        horizon = timedelta(days=settings.dedup.horizon_days)
        near = F.col("occurred_at").between(first - horizon, last + horizon)
        known |= {t: read(spark, settings, t.name).where(near) for t in facts}
    return [
        rows.withColumn("table_name", F.lit(t.name)).select(*IDENTITY) for t, rows in known.items()
    ]


def _ranked(settings: Settings, events: DataFrame, table: Table, by: Upsert) -> DataFrame:
    """New rows and the rows that stand for the same keys, each with `is_new` and `is_latest`."""
    new = _rows(events, table).withColumn("is_new", F.lit(True))
    standing = read(events.sparkSession, settings, table.name).join(
        new.select(*by.keys).distinct(), list(by.keys), "left_semi"
    )
    both = new.unionByName(standing.withColumn("is_new", F.lit(False)))
    return with_is_latest(both, by.keys, by.sequence_by).localCheckpoint()


def _write_dropped(
    events: DataFrame,
    parts: _Parts,
    upserts: Mapping[Table, DataFrame],
    settings: Settings,
    transaction: Transaction,
) -> None:
    """Account for every valid event that no table will show after this batch."""
    dropped = [
        ranked.where("NOT is_latest").select(
            "event_id",
            F.lit(table.name).alias("table_name"),
            F.lit("superseded").alias("reason"),
            *ORIGIN,
        )
        for table, ranked in upserts.items()
    ]
    if any(outcome == DUPLICATE for _, outcome in parts):
        resends = events.where(F.col("outcome") == DUPLICATE)
        dropped.append(
            resends.select("event_id", "table_name", F.col("outcome").alias("reason"), *ORIGIN)
        )
    if dropped:
        rows = _unaccounted(reduce(DataFrame.unionByName, dropped), settings, DROPPED_EVENTS)
        write(rows.coalesce(1), settings, DROPPED_EVENTS, transaction=transaction)


def _unaccounted(rows: DataFrame, settings: Settings, table: Table) -> DataFrame:
    """Those rows that the table does not hold yet.

    It does hold them when silver reads bronze again under a new checkpoint, and so under
    transactions that Delta does not know.
    """
    held = read(rows.sparkSession, settings, table.name).select(*ORIGIN)
    return rows.join(held, list(ORIGIN), "left_anti").select(*table.columns)
