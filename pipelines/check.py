"""Whether the lake holds what it must hold, and if not, what differs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.erasures import ERASURES
from pipelines.bronze.events import EVENTS
from pipelines.errors import LakehouseError
from pipelines.io.fingerprint import fingerprint
from pipelines.io.read import exists, read
from pipelines.registry import QUARANTINES, SILVER_EVENTS, VIEWS
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.sources.ledger import read_ledger
from pipelines.table import ORIGIN, Append
from pipelines.views.recompute import recompute
from pipelines.views.record import shown

_NOBODY = r'"customer_id"\s*:\s*null'


@dataclass(frozen=True)
class Finding:
    """One check: what it compared, whether it holds, and the difference if it does not."""

    name: str
    ok: bool
    detail: str


def check_lake(
    spark: SparkSession,
    settings: Settings,
    progress: Callable[[Finding], None] = lambda _: None,
) -> list[Finding]:
    """Compare what was produced, bronze, silver and gold with each other."""
    findings = []
    for check in (_bronze_is_produced, _silver_is_bronze, _ids_are_unique):
        findings.append(check(spark, settings))
        progress(findings[-1])
    for view in VIEWS:
        findings.append(_view_is_recomputed(spark, settings, view.name))
        progress(findings[-1])
    return findings


def _bronze_is_produced(spark: SparkSession, settings: Settings) -> Finding:
    """Every acknowledged event is in bronze once, and nothing else of that topic is."""
    name = "bronze = produced"
    parts = read_ledger(settings.state / "ledger")
    if settings.source.kind != "kafka" or not parts:
        return Finding(name, True, "no ledger: nothing was produced from here")
    produced = spark.read.parquet(*map(str, parts)).select("partition", "offset", "digest")
    digest = F.substring(F.unhex(F.sha2("payload", 256)), 1, 8)
    topic = settings.source.kafka.topic
    bronze = read(spark, settings, EVENTS.name).where(F.col("source") == topic)
    place = ("partition", "offset")
    stored = bronze.select(
        F.col("source_partition").alias("partition"),
        F.col("source_offset").alias("offset"),
        digest.alias("digest"),
        F.col("payload").cast("string").rlike(_NOBODY).alias("is_nobodys"),
    )
    if not read(spark, settings, ERASURES.name).isEmpty():
        # What an erased person sent since has lost the person on its way in, and its digest.
        nobodys = stored.where("is_nobodys").select(*place, "is_nobodys")
        produced = produced.join(nobodys, list(place), "left").select(
            *place, F.when(F.col("is_nobodys").isNull(), F.col("digest")).alias("digest")
        )
        kept = F.when(~F.coalesce("is_nobodys", F.lit(False)), F.col("digest"))
        stored = stored.withColumn("digest", kept)
    return _same(name, produced, stored.select(*place, "digest"), "produced", "bronze")


def _silver_is_bronze(spark: SparkSession, settings: Settings) -> Finding:
    """Each bronze row stands in exactly one table of silver, in quarantine or among the late,
    or is dropped."""
    tables = (*SILVER_EVENTS, *QUARANTINES, DROPPED_EVENTS, LATE_EVENTS)
    origins = (read(spark, settings, table.name).select(*ORIGIN) for table in tables)
    accounted = reduce(DataFrame.unionByName, origins)
    bronze = read(spark, settings, EVENTS.name).select(*ORIGIN)
    name = "bronze = silver + quarantine + late + dropped"
    return _same(name, bronze, accounted, "bronze", "silver")


def _ids_are_unique(spark: SparkSession, settings: Settings) -> Finding:
    facts = [table for table in SILVER_EVENTS if isinstance(table.write, Append)]
    ids = reduce(
        DataFrame.unionByName,
        (read(spark, settings, table.name).select("event_id") for table in facts),
    )
    repeated = ids.groupBy(F.xxhash64("event_id")).count().where("count > 1").count()
    detail = f"{repeated} event ids stand more than once" if repeated else "each id stands once"
    return Finding("event ids are unique", not repeated, detail)


def _view_is_recomputed(spark: SparkSession, settings: Settings, name: str) -> Finding:
    """A view equals a recomputation from the table versions that it says it shows."""
    view = next(view for view in VIEWS if view.name == name)
    title = f"{name} = recomputation"
    if not exists(spark, settings, name):
        return Finding(title, False, "never refreshed; run `lakehouse refresh`")
    now = shown(spark, settings, view)
    if now is None:
        return Finding(title, False, "its last commit names no sources; run `refresh --full`")
    try:
        expected = _to_the_float(recompute(spark, settings, view, now.sources))
        actual = _to_the_float(read(spark, settings, name).select(*expected.columns))
        return _same(title, expected, actual, "recomputed", "stored")
    except LakehouseError as error:
        return Finding(title, False, str(error))


def _to_the_float(rows: DataFrame) -> DataFrame:
    """A sum of doubles depends on the order of its rows in the last bits; 24 bits do not."""
    doubles = [name for name, of in rows.dtypes if of == "double"]
    return rows.withColumns({name: F.col(name).cast("float") for name in doubles})


def _same(
    name: str, expected: DataFrame, actual: DataFrame, expected_name: str, actual_name: str
) -> Finding:
    wanted, found = fingerprint(expected), fingerprint(actual)
    if wanted == found:
        return Finding(name, True, f"{found.rows} rows")
    missing, extra = expected.exceptAll(actual), actual.exceptAll(expected)
    examples = [
        f"only in {side}: {row.asDict()}"
        for side, rows in ((expected_name, missing), (actual_name, extra))
        for row in rows.take(2)
    ]
    counts = (
        f"{missing.count()} rows only in {expected_name}, {extra.count()} only in {actual_name}"
    )
    return Finding(name, False, "; ".join([counts, *examples])[:1000])
