"""What was refused or came too late, through the same path again.

The events go to silver first, under a transaction named after the rows that are replayed; then
those that stand there now leave the table that they came from. A repetition after a crash in
between finds them where they stand and adds nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.errors import CorrectionError, RegistryError
from pipelines.io.corrections import Correction, read_corrections
from pipelines.io.erasures import door
from pipelines.io.fingerprint import fingerprint
from pipelines.io.read import read, version_of
from pipelines.io.silver import write_silver
from pipelines.io.write import Transaction, remove
from pipelines.registry import QUARANTINES, SILVER_EVENTS
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.event import typed_events
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.table import ORIGIN, Table

REPLAYABLE: tuple[Table, ...] = (*QUARANTINES, LATE_EVENTS)


@dataclass(frozen=True)
class Replayed:
    """What became of the rows of a quarantine.

    Attributes:
        replayed: rows that went through the path again.
        taken_in: those that their table shows now.
        dropped: those that were accepted but are not shown, by reason: duplicate, superseded.
        late: those that are parked in silver.late_events.
        refused: rows by the reason for which they were refused again; one may have several.
    """

    table: str
    replayed: int = 0
    taken_in: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    late: int = 0
    refused: dict[str, int] = field(default_factory=dict)


def replayable(name: str) -> Table:
    """The quarantine of a table, or the late events, by full or short name.

    Raises:
        RegistryError: no such table.
    """
    for table in REPLAYABLE:
        whose = table.name.removesuffix("_quarantine")
        if name in (table.name, table.short_name, whose, whose.split(".")[1]):
            return table
    known = ", ".join(table.name for table in REPLAYABLE)
    raise RegistryError(f"nothing is kept under the name {name}; there are {known}")


def kept_rows(
    spark: SparkSession, settings: Settings, table: Table, reason: str | None = None
) -> DataFrame:
    """The rows of a quarantine, all or those with one of the codes."""
    rows = read(spark, settings, table.name)
    return rows.where(F.array_contains("reasons", reason)) if reason else rows


def replay(
    spark: SparkSession,
    settings: Settings,
    table: Table,
    *,
    reason: str | None = None,
    corrected: Path | None = None,
) -> Replayed:
    """Let rows of a quarantine through the same path again, each exactly once.

    Args:
        table: one of `REPLAYABLE`.
        reason: only rows with this code.
        corrected: a file of `corrections`; only the rows that it names, with the payloads there.

    Raises:
        CorrectionError: the file is malformed or names a row that is not kept; nothing is done.
    """
    version = version_of(spark, settings, table.name)
    rows = kept_rows(spark, settings, table, reason)
    if corrected:
        rows = _corrected(rows, corrected, read_corrections(corrected), table)
    payload = door(spark, settings)(rows["payload"])
    batch = rows.withColumn("payload", payload).select(*EVENTS.columns).localCheckpoint()
    content = fingerprint(batch)
    if not content.rows:
        return Replayed(table.name)
    application = f"replay-{table.name}-{version}-{content.xor}-{content.total}"
    transaction = Transaction(application, 0, may_repeat=True)
    write_silver(batch, settings, transaction, accept_late=table == LATE_EVENTS)
    elsewhere = _elsewhere(batch.select(*ORIGIN), settings, table).localCheckpoint()
    remove(elsewhere.select(*ORIGIN), settings, table, ORIGIN)
    return _result(batch, elsewhere, table)


def _corrected(
    rows: DataFrame, file: Path, corrections: Sequence[Correction], table: Table
) -> DataFrame:
    """The rows that are corrected, with their new payload."""
    new = rows.sparkSession.createDataFrame(
        [(*c.origin, c.payload, c.line) for c in corrections],
        "source STRING, source_partition INT, source_offset BIGINT, payload BINARY, line INT",
    )
    absent = new.join(rows.select(*ORIGIN), list(ORIGIN), "left_anti").orderBy("line").first()
    if absent:
        raise CorrectionError(
            f"{file}:{absent['line']}: {table.name} does not hold that row (any more); "
            "leave out the line, or export the rows anew"
        )
    return rows.drop("payload").join(F.broadcast(new.drop("line")), list(ORIGIN))


def _elsewhere(origins: DataFrame, settings: Settings, table: Table) -> DataFrame:
    """Where else than in `table` the rows of these origins stand: origin, `place`, `reasons`."""
    spark = origins.sparkSession
    no_reason = F.lit(None).cast("ARRAY<STRING>")
    codes = {t: no_reason for t in (*SILVER_EVENTS, LATE_EVENTS)}
    codes |= {t: F.col("reasons") for t in QUARANTINES}
    codes |= {DROPPED_EVENTS: F.array("reason")}
    found = (
        read(spark, settings, other.name)
        .join(F.broadcast(origins), list(ORIGIN), "left_semi")
        .select(*ORIGIN, F.lit(other.name).alias("place"), code.alias("reasons"))
        for other, code in codes.items()
        if other != table
    )
    return reduce(DataFrame.unionByName, found)


def _result(batch: DataFrame, elsewhere: DataFrame, table: Table) -> Replayed:
    """Counts of what became of the rows of a batch."""
    stayed = batch.join(F.broadcast(elsewhere.select(*ORIGIN)), list(ORIGIN), "left_anti")
    # What nothing speaks against but what stands already was refused for its id.
    again = F.when(F.size("reasons") > 0, F.col("reasons")).otherwise(
        F.array(F.lit("event_id_reused"))
    )
    refused = typed_events(stayed, SILVER_EVENTS).select(
        *ORIGIN, F.lit(table.name).alias("place"), again.alias("reasons")
    )
    counted = (
        elsewhere.unionByName(refused)
        .select("place", F.explode_outer("reasons").alias("reason"))
        .groupBy("place", "reason")
        .count()
        .collect()
    )
    counts = {(row["place"], row["reason"]): row["count"] for row in counted}
    refused_by: dict[str, int] = defaultdict(int)
    for (place, code), count in counts.items():
        if place in {t.name for t in QUARANTINES}:
            refused_by[code] += count
    facts = {t.name for t in SILVER_EVENTS}
    return Replayed(
        table.name,
        replayed=batch.count(),
        taken_in=sum(n for (place, _), n in counts.items() if place in facts),
        dropped={code: n for (place, code), n in counts.items() if place == DROPPED_EVENTS.name},
        late=counts.get((LATE_EVENTS.name, None), 0),
        refused=dict(refused_by),
    )
