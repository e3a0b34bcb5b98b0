"""One micro-batch of bronze into silver: typed, checked, without repetition, each row accounted.

The order of the commits makes a repeated batch harmless. What is dropped, late or refused is
computed from the tables as they stand before the batch and committed first, then the tables; each
commit carries the batch's transaction, so a repetition after a crash skips what is done. The row
in `silver.batches` that says what became of the events comes last.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial, reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.io.batch_keys import DUPLICATE, LATE, REFUSED, SEEN, VALID, Parts
from pipelines.io.outcomes import Outcomes, count_of, outcomes, with_late, with_payloads
from pipelines.io.read import read, schema_of
from pipelines.io.resends import with_resends
from pipelines.io.write import Transaction, in_parallel, write
from pipelines.registry import QUARANTINES, SILVER_EVENTS, transformation
from pipelines.settings import Settings
from pipelines.silver.batches import BATCHES
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.duplicates import with_is_latest
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.table import ORIGIN, Append, Table, Upsert, quarantine_of

Writing = tuple[Table, DataFrame]


def write_silver(
    batch: DataFrame, settings: Settings, transaction: Transaction, *, accept_late: bool = False
) -> None:
    """Add one batch of bronze rows to silver, exactly once per transaction.

    Args:
        accept_late: let events into their tables however late they come.
    """
    started = time.monotonic()
    spark = batch.sparkSession
    history = _history(spark, settings, transaction)
    events = outcomes(batch)
    parts = events.parts()
    bound = history.watermark and history.watermark - timedelta(days=settings.dedup.horizon_days)
    if bound and not accept_late and any(first < bound for first, _ in _times(parts).values()):
        events = with_late(events, bound)
        parts = events.parts()
    judged = with_resends(events, settings, _times(parts))
    if judged is not None:
        events = judged
        parts = events.parts()
    upserts = {
        table: _ranked(settings, events, table, table.write)
        for table in SILVER_EVENTS
        if isinstance(table.write, Upsert) and (table.name, VALID) in parts
    }
    skipped: list[str] = []

    def put(table: Table, rows: DataFrame) -> None:
        if not write(rows, settings, table, transaction=transaction):
            skipped.append(table.name)

    if count_of(parts, REFUSED) or count_of(parts, LATE):
        source = batch if history.is_replay else read(spark, settings, EVENTS.name)
        events = with_payloads(events, source)
    accounts = (
        *_dropped(events, parts, upserts),
        *_late(events, parts, history.watermark),
        *_refused(events, parts),
    )
    writings = [(table, _few(history, settings, table, rows)) for table, rows in accounts]
    in_parallel(spark, (partial(put, table, rows) for table, rows in writings))
    appends = [
        (table, _rows(events, table).coalesce(settings.spark.shuffle_partitions))
        for table in SILVER_EVENTS
        if isinstance(table.write, Append) and (table.name, VALID) in parts
    ]
    in_parallel(spark, (partial(put, table, rows) for table, rows in appends))
    for table, ranked in upserts.items():
        put(table, ranked.where("is_latest AND is_new").select(*table.columns))
    reached = history.watermark if accept_late else _reached(parts, history)
    seconds = time.monotonic() - started
    put(BATCHES, _outcome(spark, transaction, parts, reached, skipped, seconds))


@dataclass(frozen=True)
class _History:
    """What earlier batches say about this one.

    Attributes:
        watermark: event time that the stream has reached: the latest median so far of the table
            that most events of a batch belong to. One event with a wrong clock moves it only if
            it is as good as alone, and none moves it past now.
        is_read_again: whether bronze may have been read under another checkpoint before, and so
            under transactions that Delta does not know.
        is_replay: whether the batch comes from a quarantine, and its rows may stand there yet.
    """

    watermark: datetime | None
    is_read_again: bool
    is_replay: bool


def _history(spark: SparkSession, settings: Settings, transaction: Transaction) -> _History:
    is_other = (F.col("application") != transaction.application) & F.col("application").startswith(
        "silver-"
    )
    batches = read(spark, settings, BATCHES.name)
    newest = batches.agg(F.max("watermark"), F.coalesce(F.bool_or(is_other), F.lit(False)))
    watermark, is_read_again = newest.collect()[0]
    is_replay = not transaction.application.startswith("silver-")
    return _History(watermark, is_read_again or transaction.may_repeat, is_replay)


def _reached(parts: Parts, history: _History) -> datetime | None:
    medians = [
        (part.rows, part.median)
        for (_, outcome), part in parts.items()
        if outcome == VALID and part.median
    ]
    now = datetime.now()  # as PySpark gives instants: naive, in the zone of this process
    _, newest = max(medians, default=(0, None))
    return max(filter(None, (newest and min(newest, now), history.watermark)), default=None)


def _times(parts: Parts) -> dict[Table, tuple[datetime, datetime]]:
    """The span of event time of the valid events of each table that has some."""
    found = {table: parts.get((table.name, VALID)) for table in SILVER_EVENTS}
    return {t: (p.first, p.last) for t, p in found.items() if p and p.first and p.last}


def _rows(events: Outcomes, table: Table) -> DataFrame:
    return transformation(table)(events.of(table, VALID)).select(*table.columns)


def _ranked(settings: Settings, events: Outcomes, table: Table, by: Upsert) -> DataFrame:
    """New rows and the rows that stand for the same keys, each with `is_new` and `is_latest`."""
    new = _rows(events, table).withColumn("is_new", F.lit(True))
    standing = read(new.sparkSession, settings, table.name).join(
        new.select(*by.keys).distinct(), list(by.keys), "left_semi"
    )
    both = new.unionByName(standing.withColumn("is_new", F.lit(False)))
    return with_is_latest(both, by.keys, by.sequence_by).localCheckpoint()


def _dropped(
    events: Outcomes, parts: Parts, upserts: Mapping[Table, DataFrame]
) -> Iterator[Writing]:
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
    if count_of(parts, DUPLICATE):
        resends = events.special.where(F.col("outcome") == DUPLICATE)
        dropped.append(
            resends.select("event_id", "table_name", F.col("outcome").alias("reason"), *ORIGIN)
        )
    if dropped:
        yield DROPPED_EVENTS, reduce(DataFrame.unionByName, dropped)


def _late(events: Outcomes, parts: Parts, watermark: datetime | None) -> Iterator[Writing]:
    if count_of(parts, LATE):
        late = events.special.where(F.col("outcome") == LATE)
        yield (
            LATE_EVENTS,
            late.withColumns({"reasons": F.array(F.lit(LATE)), "watermark": F.lit(watermark)}),
        )


def _refused(events: Outcomes, parts: Parts) -> Iterator[Writing]:
    for table in (EVENTS, *SILVER_EVENTS):
        if (table.name, REFUSED) in parts:
            yield quarantine_of(table), events.of(table, REFUSED)


def _few(history: _History, settings: Settings, table: Table, rows: DataFrame) -> DataFrame:
    """The rows in one file, without those accounted for when bronze was read before."""
    if history.is_read_again:
        # What was refused or late may stand elsewhere since, replayed; what a newer row is about
        # to supersede still stands in its table.
        everywhere = (*SILVER_EVENTS, *QUARANTINES, LATE_EVENTS, DROPPED_EVENTS)
        tables = (table,) if history.is_replay or table is DROPPED_EVENTS else everywhere
        held = reduce(
            DataFrame.unionByName,
            (read(rows.sparkSession, settings, t.name).select(*ORIGIN) for t in tables),
        )
        rows = rows.join(held, list(ORIGIN), "left_anti")
    return rows.select(*table.columns).coalesce(1)


def _outcome(
    spark: SparkSession,
    transaction: Transaction,
    parts: Parts,
    reached: datetime | None,
    skipped: list[str],
    seconds: float,
) -> DataFrame:
    row = {
        "application": transaction.application,
        "batch_id": transaction.version,
        "ended_at": datetime.now(UTC),
        "seconds": seconds,
        "valid": count_of(parts, VALID),
        "refused": count_of(parts, REFUSED),
        "duplicate": count_of(parts, DUPLICATE),
        "late": count_of(parts, LATE),
        "seen": count_of(parts, SEEN),
        "watermark": reached,
        "skipped": skipped,
    }
    return spark.createDataFrame([row], schema_of(BATCHES)).coalesce(1)
