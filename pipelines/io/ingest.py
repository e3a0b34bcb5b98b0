"""Source -> bronze -> silver by Structured Streaming, each hop exactly once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pyspark.sql import DataFrame, SparkSession

from pipelines.bronze.events import EVENTS, events
from pipelines.errors import SourceError
from pipelines.io.checkpoints import (
    SILVER,
    bronze_stream,
    require_bronze_checkpoint,
    require_silver_checkpoint,
)
from pipelines.io.documents import ingesting_documents
from pipelines.io.erasures import door
from pipelines.io.lake import checkpoint_path
from pipelines.io.maintenance import Maintained, maintaining
from pipelines.io.read import read, read_stream
from pipelines.io.resume import resume_from_bronze, same_topic
from pipelines.io.silver import write_silver
from pipelines.io.silver_facts import silver_facts
from pipelines.io.stream import Stream, exactly_once
from pipelines.io.stream_report import StreamReport
from pipelines.io.write import Transaction, create, write
from pipelines.registry import INGESTED
from pipelines.settings import Settings
from pipelines.sources.stream import source_events, source_name

Progress = Callable[[str, int], None]  # stage, rows so far
Note = Callable[[str], None]  # one line that a user is to read

# Bronze bytes per silver batch: some 2.5 million events. In batches of 40 MB their fixed cost (9
# core-seconds) was felt 2.5 times as often; of 200 MB, typed rows no longer fit a heap of 3 GB.
SILVER_BATCH_BYTES = "100m"
CONTINUOUS_INTERVAL = "2 seconds"


@dataclass(frozen=True)
class Ingested:
    """Rows that a run of `ingest` added to bronze and read into silver."""

    bronze: int
    silver: int


def ingest(
    spark: SparkSession,
    settings: Settings,
    progress: Progress,
    *,
    resume: bool = False,
    note: Note = lambda _: None,
) -> Ingested:
    """Take in all that the source holds now, then end.

    Args:
        resume: begin a new checkpoint of the source, after the newest of its events in bronze.
        note: told what a user should know of it.

    Raises:
        SourceError: the source is empty, gone, or its offsets have gone; or a checkpoint is.
        BrokerError: the broker does not answer.
    """
    progress("bronze", 0)
    bronze = _drain(_bronze(spark, settings, resume, note), "bronze", progress)
    if not bronze and read(spark, settings, EVENTS.name).isEmpty():
        raise SourceError(
            f"{settings.source.kind} source '{source_name(settings)}' holds no events; "
            "send some with `lakehouse produce`"
        )
    return Ingested(bronze, catch_up(spark, settings, progress))


def catch_up(spark: SparkSession, settings: Settings, progress: Progress) -> int:
    """Take into silver all that bronze holds; returns the rows read.

    Raises:
        SourceError: the checkpoint of silver is damaged.
    """
    return _drain(_silver(spark, settings), "silver", progress)


def ingest_continuously(
    spark: SparkSession,
    settings: Settings,
    progress: Progress,
    *,
    resume: bool = False,
    note: Note = lambda _: None,
    then: Callable[[], None] = lambda: None,
    further: Sequence[str] = (),
) -> None:
    """Take in events as they arrive, until stopped or until a stream fails.

    Documents are taken in and tables maintained beside the streams; what that does and why it
    fails goes to `note`.

    Args:
        resume: see `ingest`.
        then: called after each batch that silver has taken in.
        further: what is maintained beside the tables that it fills.

    Raises:
        LakehouseError: a stream failed, or cannot start; see `ingest`.
    """
    streams = _bronze(spark, settings, resume, note), _silver(spark, settings, then)
    bronze, silver = (s.triggered(processingTime=CONTINUOUS_INTERVAL) for s in streams)
    upkeep = maintaining(
        spark,
        settings,
        [*(table.name for table in INGESTED), *further],
        progress=partial(_tell, note),
        failed=lambda error: note(f"maintain failed and is tried again: {str(error)[:300]}"),
    )
    documents = ingesting_documents(
        spark,
        settings,
        failed=lambda error: note(f"documents failed and are tried again: {str(error)[:300]}"),
    )
    with upkeep, documents, bronze, silver:
        while not (bronze.ended(seconds=0.5) or silver.ended(seconds=0.5)):
            progress("bronze and silver", silver.report.rows)


def _bronze(spark: SparkSession, settings: Settings, resume: bool, note: Note) -> Stream:
    """The source's stream, once it is sure that none of its events is lost or read twice."""
    arriving = source_events(spark, settings)
    create(spark, settings, EVENTS)
    require_same_topic = same_topic(spark, settings)
    require_same_topic()
    if resume:
        arriving = source_events(spark, settings, resume_from_bronze(spark, settings, note))
    else:
        require_bronze_checkpoint(spark, settings)
    without_erased = door(spark, settings)

    def add(batch: DataFrame, transaction: Transaction) -> None:
        require_same_topic()
        rows = events(batch)
        rows = rows.withColumn("payload", without_erased(rows["payload"]))
        write(rows, settings, EVENTS, transaction=transaction)

    path = checkpoint_path(settings, bronze_stream(settings))
    report = StreamReport(settings.state, "bronze")
    return Stream(exactly_once(arriving, "bronze", path, add), report)


def _silver(
    spark: SparkSession, settings: Settings, then: Callable[[], None] = lambda: None
) -> Stream:
    require_silver_checkpoint(spark, settings)
    arriving = read_stream(spark, settings, EVENTS.name, max_bytes=SILVER_BATCH_BYTES)

    def add(batch: DataFrame, transaction: Transaction) -> None:
        write_silver(batch, settings, transaction)
        then()

    report = StreamReport(settings.state, SILVER, partial(silver_facts, spark, settings))
    return Stream(exactly_once(arriving, SILVER, checkpoint_path(settings, SILVER), add), report)


def _drain(stream: Stream, stage: str, progress: Progress) -> int:
    """Run a stream until it has read all there is; returns the rows it read."""
    with stream.triggered(availableNow=True):
        while not stream.ended(seconds=0.5):
            progress(stage, stream.report.rows)
    progress(stage, stream.report.rows)
    return stream.report.rows


def _tell(note: Note, done: Maintained) -> None:
    if rewrites := [step for step in done.done if step not in ("vacuumed", "log cleaned")]:
        note(
            f"{done.table}: {', '.join(rewrites)}, {done.files_before} files to {done.files_after}"
        )
