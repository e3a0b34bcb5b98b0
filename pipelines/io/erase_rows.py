"""A person out of the rows of all tables: what is about the person alone goes, all else stays.

A purchase or a click stays as a guest's, so that no total changes; so does an event that is
refused or late. Rows that say nothing without the customer go: recommendations, and the lists that
an experiment showed, which are accounted for as dropped; so do documents that name the person. The
rows of bronze come last: they tell which rows above them, and which of the producer's ledger, hold
a hash of them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.erasures import ERASURE
from pipelines.bronze.events import EVENTS
from pipelines.gold.dead_letters import DEAD_LETTERS
from pipelines.gold.recommendations import PARTS, RECOMMENDATIONS
from pipelines.io.files import delete
from pipelines.io.read import exists, read, schema_of
from pipelines.io.write import amend, remove, write
from pipelines.registry import QUARANTINES, SILVER_EVENTS
from pipelines.scrub import may_mention, scrubbed_of
from pipelines.settings import Settings
from pipelines.silver.documents import DOCUMENTS, DOCUMENTS_QUARANTINE
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.sources.ledger import renew
from pipelines.table import ORIGIN, Table

# Every table in which a person may stand, views apart.
PERSONAL = (
    *SILVER_EVENTS, LATE_EVENTS, *QUARANTINES, EVENTS, RECOMMENDATIONS, PARTS, DEAD_LETTERS,
    DOCUMENTS, DOCUMENTS_QUARANTINE,
)  # fmt: skip
_DIGEST_BYTES = 8  # of an event in the producer's ledger
_UNCHANGED = "unchanged"  # a column that is left as it is


@dataclass(frozen=True)
class _Scrubbing:
    """Who is taken out, from where."""

    spark: SparkSession
    settings: Settings
    people: tuple[str, ...]

    def read(self, table: Table) -> DataFrame | None:
        """A table's rows; None if there is no table."""
        is_there = exists(self.spark, self.settings, table.name)
        return read(self.spark, self.settings, table.name) if is_there else None


def erase_rows(
    spark: SparkSession, settings: Settings, people: tuple[str, ...]
) -> Mapping[str, int]:
    """Take people out of all tables but the views; returns the rows changed or removed by table."""
    work = _Scrubbing(spark, settings, people)
    events = _events_of(work)
    found = {}
    for table in filter(_needs_a_customer, (*SILVER_EVENTS, RECOMMENDATIONS, PARTS)):
        found[table.name] = _remove_customers(work, table)
    for table in SILVER_EVENTS:
        found[table.name] = found.get(table.name, 0) + _amend(work, table, ORIGIN, events)
    for table in (LATE_EVENTS, *QUARANTINES):
        found[table.name] = _amend(work, table, ORIGIN)
    found[DEAD_LETTERS.name] = _amend(work, DEAD_LETTERS, ("letter_id",))
    for table in (DOCUMENTS, DOCUMENTS_QUARANTINE):
        found[table.name] = _remove_documents(work, table)
    found["the producer's ledger"] = _renew_ledger(settings, events)
    with _saying(spark, ERASURE):
        found[EVENTS.name] = _amend(work, EVENTS, ORIGIN)
    return found


@contextmanager
def _saying(spark: SparkSession, what: str) -> Iterator[None]:
    """Commits of a MERGE say this of themselves; it takes no option."""
    key = "spark.databricks.delta.commitInfo.userMetadata"
    spark.conf.set(key, what)
    try:
        yield
    finally:
        spark.conf.unset(key)


def _events_of(work: _Scrubbing) -> DataFrame:
    """Of the events of bronze that name one of the people: the origin, and `payload` without."""
    rows = read(work.spark, work.settings, EVENTS.name)
    return _scrubbed(rows, work.people).select(*ORIGIN, "payload").localCheckpoint()


def _amend(
    work: _Scrubbing, table: Table, keys: tuple[str, ...], events: DataFrame | None = None
) -> int:
    """Scrub a table's rows; with `events` also their hashes of these."""
    rows = work.read(table)
    if rows is None:
        return 0
    changing = list(_kinds(rows))
    if events is None:
        changed = _scrubbed(rows, work.people)
    else:
        new = F.xxhash64(F.col("payload").cast("string")).alias("renewed")
        rows = rows.join(F.broadcast(events.select(*ORIGIN, new)), list(ORIGIN), "left")
        is_other = F.coalesce(F.col("renewed") != F.col("payload_hash"), F.lit(False))
        changed = _scrubbed(rows, work.people, is_other)
        changed = changed.withColumn("payload_hash", F.coalesce("renewed", "payload_hash"))
        changing.append("payload_hash")
    changed = changed.select(*keys, *changing).localCheckpoint()
    if count := changed.count():
        amend(changed, work.settings, table, keys)
    return count


def _kinds(rows: DataFrame) -> dict[str, str]:
    """The columns that may name a person, with their types."""
    kept = (*ORIGIN, "letter_id", "table_name", "reaction", _UNCHANGED)
    texts = ("string", "variant", "binary", "array<string>")
    return {name: kind for name, kind in rows.dtypes if kind in texts and name not in kept}


def _scrubbed(rows: DataFrame, people: tuple[str, ...], as_well: Column | None = None) -> DataFrame:
    """Those rows that name one of the people, or `as_well`, without them."""
    new, is_changed = {}, F.lit(False) if as_well is None else as_well
    for name, kind in _kinds(rows).items():
        column = F.col(name)
        if name == "customer_id":
            is_one = F.coalesce(column.isin(*people), F.lit(False))
            new[name], is_changed = F.when(~is_one, column), is_changed | is_one
            continue
        is_text = kind in ("string", "binary")
        text = column.cast("string") if is_text else F.to_json(column)
        without = scrubbed_of(text, people)
        if kind == "binary":  # what is not text cannot be looked through: it goes
            without = F.when(F.is_valid_utf8(text), without)
        may = may_mention(text, people)
        back = {
            "variant": F.try_parse_json(without),
            "binary": without.cast("binary"),
            "array<string>": F.from_json(without, "ARRAY<STRING>"),
        }
        new[name] = F.when(may, back.get(kind, without)).otherwise(column)
        is_changed = is_changed | (may & ~without.eqNullSafe(text))
    return rows.where(is_changed).withColumns(new)


def _needs_a_customer(table: Table) -> bool:
    return "customer_id" in table.columns and not schema_of(table)["customer_id"].nullable


def _remove_customers(work: _Scrubbing, table: Table) -> int:
    """Rows of the people; of a table of events they are accounted for first."""
    rows = work.read(table)
    if rows is None:
        return 0
    theirs = rows.where(F.col("customer_id").isin(*work.people))
    count = theirs.count()
    if not count:
        return 0
    if table.event_type:
        dropped = read(work.spark, work.settings, DROPPED_EVENTS.name)
        accounts = theirs.withColumns(
            {"table_name": F.lit(table.name), "reason": F.lit("erased")}
        ).join(dropped, list(ORIGIN), "left_anti")
        write(accounts.select(*DROPPED_EVENTS.columns).coalesce(1), work.settings, DROPPED_EVENTS)
    people = work.spark.createDataFrame([(who,) for who in work.people], "customer_id STRING")
    remove(people, work.settings, table, ("customer_id",))
    return count


def _remove_documents(work: _Scrubbing, table: Table) -> int:
    """Documents that name a person, their files first."""
    rows = work.read(table)
    if rows is None:
        return 0
    stem = F.regexp_replace("reference", r"\.\w+$", "")  # an id that ends there is by itself
    looked_at = {_UNCHANGED: F.col("reference"), "stem": stem}
    named = _scrubbed(rows.withColumns(looked_at), work.people)
    gone = named.select(F.col(_UNCHANGED).alias("reference")).localCheckpoint()
    references = [row["reference"] for row in gone.collect()]
    for reference in references:
        delete(work.spark, reference)
    if references:
        remove(gone, work.settings, table, ("reference",))
    return len(references)


def _renew_ledger(settings: Settings, events: DataFrame) -> int:
    """Of an event that lost its person the ledger holds the digest of what is left."""
    topic = settings.source.kafka.topic
    digest = F.substring(F.unhex(F.sha2("payload", 256)), 1, _DIGEST_BYTES)
    rows: pa.Table = (
        events.where(F.col("source") == topic)
        .select(
            F.col("source_partition").alias("partition"),
            F.col("source_offset").alias("offset"),
            digest.alias("digest"),
        )
        .toArrow()
    )
    return renew(settings.state / "ledger", topic, rows)
