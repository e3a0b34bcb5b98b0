"""One micro-batch of bronze into silver: typed, checked, without repetition, each row accounted.

The order of the commits makes a repeated batch harmless. What is dropped is computed from the
tables as they stand before the batch and committed first, then the quarantine, then the tables;
each commit carries the batch's transaction, so a repetition after a crash skips what is done.
"""

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


@dataclass(frozen=True)
class _Part:
    """What a batch holds for one table."""

    table: Table
    valid: int
    first: datetime | None
    last: datetime | None


def write_silver(
    batch: DataFrame, settings: Settings, transaction: Transaction
) -> dict[str, dict[str, int]]:
    """Add one batch of bronze rows to silver, exactly once per transaction.

    Returns:
        Per table name the number of rows `valid` (before resends are dropped) and `refused`.
    """
    spark = batch.sparkSession
    events = typed_events(batch, SILVER_EVENTS).withColumn("is_valid", F.size("reasons") == 0)
    events.persist()
    judged: DataFrame | None = None
    upserts: dict[str, DataFrame] = {}
    try:
        counts, parts = _summary(events)
        judged = _judge(spark, settings, events, parts)
        accepted = events.where("is_valid")
        if judged is not None:
            accepted = accepted.join(F.broadcast(judged), list(ORIGIN), "left_anti")
        upserts = {
            part.table.name: _ranked(spark, settings, accepted, part.table, part.table.write)
            for part in parts
            if isinstance(part.table.write, Upsert)
        }
        _write_dropped(settings, transaction, judged, upserts)
        _write_quarantine(settings, transaction, events, judged, counts)
        for table in (part.table for part in parts):
            if table.name in upserts:
                rows = upserts[table.name].where("is_latest AND is_new").select(*table.columns)
            else:
                rows = _rows(accepted, table)
            few_files = rows.coalesce(settings.spark.shuffle_partitions)
            write(few_files, settings, table, transaction=transaction)
        return counts
    finally:
        for frame in (events, judged, *upserts.values()):
            if frame is not None:
                frame.unpersist()


def _rows(accepted: DataFrame, table: Table) -> DataFrame:
    own = accepted.where(F.col("table_name") == table.name)
    return transformation(table)(own).select(*table.columns)


def _summary(events: DataFrame) -> tuple[dict[str, dict[str, int]], list[_Part]]:
    """Counts per table, and the tables that get valid rows with the time they span."""
    rows = (
        events.groupBy("table_name")
        .agg(
            F.count_if("is_valid").alias("valid"),
            F.count_if(~F.col("is_valid")).alias("refused"),
            F.min(F.when(F.col("is_valid"), F.col("occurred_at"))).alias("first"),
            F.max(F.when(F.col("is_valid"), F.col("occurred_at"))).alias("last"),
        )
        .collect()
    )
    found = {row["table_name"]: row for row in rows}
    counts = {
        name: {"valid": row["valid"], "refused": row["refused"]} for name, row in found.items()
    }
    parts = [
        _Part(table, row["valid"], row["first"], row["last"])
        for table in SILVER_EVENTS
        if (row := found.get(table.name)) is not None and row["valid"]
    ]
    return counts, parts


def _judge(
    spark: SparkSession, settings: Settings, events: DataFrame, parts: list[_Part]
) -> DataFrame | None:
    """Verdicts on the events that were sent before; None if there are none."""
    if not parts:
        return None
    valid = events.where("is_valid").select(*IDENTITY)
    known = reduce(DataFrame.unionByName, (_known(spark, settings, part) for part in parts))
    id_hashes = suspects(valid, known).persist()
    if id_hashes.isEmpty():
        return None
    return verdicts(suspected(valid, id_hashes), suspected(known, id_hashes)).persist()


def _known(spark: SparkSession, settings: Settings, part: _Part) -> DataFrame:
    """Identities of a table's rows among which a resend of this batch may be found."""
    rows = read(spark, settings, part.table.name)
    if not isinstance(part.table.write, Upsert) and part.first and part.last:
        horizon = timedelta(days=settings.dedup.horizon_days)
        rows = rows.where(F.col("occurred_at").between(part.first - horizon, part.last + horizon))
    return rows.withColumn("table_name", F.lit(part.table.name)).select(*IDENTITY)


def _ranked(
    spark: SparkSession, settings: Settings, accepted: DataFrame, table: Table, by: Upsert
) -> DataFrame:
    """New rows and the rows that stand for the same keys, each with `is_new` and `is_latest`."""
    new = _rows(accepted, table).withColumn("is_new", F.lit(True))
    standing = read(spark, settings, table.name).join(
        new.select(*by.keys).distinct(), list(by.keys), "left_semi"
    )
    both = new.unionByName(standing.withColumn("is_new", F.lit(False)))
    return with_is_latest(both, by.keys, by.sequence_by).persist()


def _write_dropped(
    settings: Settings,
    transaction: Transaction,
    judged: DataFrame | None,
    upserts: dict[str, DataFrame],
) -> None:
    """Account for every valid event that no table will show after this batch."""
    dropped = [
        ranked.where("NOT is_latest").select(
            "event_id",
            F.lit(name).alias("table_name"),
            F.lit("superseded").alias("reason"),
            *ORIGIN,
        )
        for name, ranked in upserts.items()
    ]
    if judged is not None:
        resends = judged.where("verdict = 'duplicate'")
        dropped.append(
            resends.select("event_id", "table_name", F.col("verdict").alias("reason"), *ORIGIN)
        )
    if dropped:
        rows = reduce(DataFrame.unionByName, dropped).coalesce(1)
        write(rows, settings, DROPPED_EVENTS, transaction=transaction)


def _write_quarantine(
    settings: Settings,
    transaction: Transaction,
    events: DataFrame,
    judged: DataFrame | None,
    counts: dict[str, dict[str, int]],
) -> None:
    """Keep every refused event with its reasons and its bytes."""
    refused = events.where("NOT is_valid")
    if judged is not None:
        conflicts = judged.where("verdict = 'conflict'").select(*ORIGIN)
        reused = events.join(F.broadcast(conflicts), list(ORIGIN), "left_semi").withColumn(
            "reasons", F.array(F.lit("event_id_reused"))
        )
        refused = refused.unionByName(reused)
    for table in (EVENTS, *SILVER_EVENTS):
        if table.name in counts and (counts[table.name]["refused"] or judged is not None):
            quarantine = quarantine_of(table)
            rows = refused.where(F.col("table_name") == table.name)
            write(
                rows.select(*quarantine.columns).coalesce(1),
                settings,
                quarantine,
                transaction=transaction,
            )
