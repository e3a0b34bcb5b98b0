"""Source -> bronze -> silver by Structured Streaming, each hop exactly once."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from pipelines.bronze.events import EVENTS, events
from pipelines.errors import BrokerError, DiskFullError, LakehouseError, SourceError
from pipelines.io.lake import checkpoint_path
from pipelines.io.read import read, read_stream
from pipelines.io.silver import write_silver
from pipelines.io.write import Transaction, create, write
from pipelines.settings import Settings
from pipelines.sources.stream import source_events, source_name

Progress = Callable[[str, int], None]  # stage, rows so far

# Bronze bytes per silver batch: about 700,000 events of the demo.
SILVER_BATCH_BYTES = "16m"
CONTINUOUS_INTERVAL = "2 seconds"


@dataclass(frozen=True)
class Ingested:
    """Rows that a run of `ingest` added to bronze and read into silver."""

    bronze: int
    silver: int


def ingest(spark: SparkSession, settings: Settings, progress: Progress) -> Ingested:
    """Take in all that the source holds now, then end.

    Raises:
        SourceError: the source is empty, gone, or its offsets have gone.
        BrokerError: the broker does not answer.
    """
    progress("bronze", 0)
    arriving = source_events(spark, settings)
    create(spark, settings, EVENTS)
    bronze = _drain(_to_bronze(arriving, settings).trigger(availableNow=True), "bronze", progress)
    if not bronze and read(spark, settings, EVENTS.name).isEmpty():
        raise SourceError(
            f"{settings.source.kind} source '{source_name(settings)}' holds no events; "
            "send some with `lakehouse produce`"
        )
    silver = _drain(_to_silver(spark, settings).trigger(availableNow=True), "silver", progress)
    return Ingested(bronze, silver)


def ingest_continuously(spark: SparkSession, settings: Settings, progress: Progress) -> None:
    """Take in events as they arrive, until stopped or until a stream fails."""
    arriving = source_events(spark, settings)
    create(spark, settings, EVENTS)
    streams = (_to_bronze(arriving, settings), _to_silver(spark, settings))
    queries = [w.trigger(processingTime=CONTINUOUS_INTERVAL).start() for w in streams]
    try:
        while True:
            for query in queries:
                if _ended(query, seconds=1):
                    return
                if query.lastProgress:
                    progress(query.name or "", query.lastProgress.numInputRows)
    finally:
        for query in queries:
            query.stop()


def _to_bronze(arriving: DataFrame, settings: Settings) -> DataStreamWriter:
    # One checkpoint per source: the offsets of one say nothing about another.
    stream = f"bronze-{settings.source.kind}-{source_name(settings)}"

    def add(batch: DataFrame, transaction: Transaction) -> None:
        write(events(batch), settings, EVENTS, transaction=transaction)

    return _exactly_once(arriving, "bronze", checkpoint_path(settings, stream), add)


def _to_silver(spark: SparkSession, settings: Settings) -> DataStreamWriter:
    arriving = read_stream(spark, settings, EVENTS.name, max_bytes=SILVER_BATCH_BYTES)

    def add(batch: DataFrame, transaction: Transaction) -> None:
        write_silver(batch, settings, transaction)

    return _exactly_once(arriving, "silver", checkpoint_path(settings, "silver"), add)


def _exactly_once(
    arriving: DataFrame,
    stage: str,
    checkpoint: str,
    add: Callable[[DataFrame, Transaction], None],
) -> DataStreamWriter:
    """A stream whose every batch is one transaction, named after the checkpoint's own id.

    Batch numbers start again at 0 in a new checkpoint; its new id keeps Delta from taking them
    for repetitions.
    """
    checkpoint_id: list[str] = []

    def add_once(batch: DataFrame, batch_id: int) -> None:
        if not checkpoint_id:
            metadata = batch.sparkSession.read.json(f"{checkpoint}/metadata").collect()
            checkpoint_id.append(metadata[0]["id"])
        add(batch, Transaction(f"{stage}-{checkpoint_id[0]}", batch_id))

    return (
        arriving.writeStream.queryName(stage)
        .option("checkpointLocation", checkpoint)
        .foreachBatch(add_once)
    )


def _drain(writer: DataStreamWriter, stage: str, progress: Progress) -> int:
    """Run a stream until it has read all there is; returns the rows it read."""
    query = writer.start()
    rows: dict[int, int] = {}
    try:
        ended = False
        while not ended:
            ended = _ended(query, seconds=0.5)
            for step in query.recentProgress:
                rows[step.batchId] = max(rows.get(step.batchId, 0), step.numInputRows)
            progress(stage, sum(rows.values()))
    finally:
        query.stop()
    return sum(rows.values())


def _ended(query: StreamingQuery, seconds: float) -> bool:
    try:
        return bool(query.awaitTermination(seconds))  # type: ignore[arg-type]  # takes fractions
    except StreamingQueryException as error:
        raise stream_error(query.name or "stream", str(error)) from None


def stream_error(stage: str, message: str) -> LakehouseError:
    """A stream's failure as one line that says what to do."""
    if "No space left on device" in message:
        return DiskFullError(
            f"{stage}: no space left on the disk; free some and run again, nothing was lost"
        )
    if re.search(
        r"KAFKA_DATA_LOSS|OffsetOutOfRange|offset was changed from|data may have", message
    ):
        return SourceError(
            f"{stage}: the topic no longer holds the offsets that were to be read next; if it was "
            "recreated, read it under a new name (source.kafka.topic); what was read is safe"
        )
    if re.search(r"TimeoutException|bootstrap|Connection to node|UnknownHost", message):
        return BrokerError(
            f"{stage}: the Kafka broker does not answer; start it and run again, nothing was lost"
        )
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    # What fails in our own code comes wrapped: its last line of Python says why.
    causes = [line for line in lines if re.match(r"[\w.]*(Error|Exception): ", line)]
    cause = causes[0] if causes and "Python Proxy" in message else next(iter(lines), "unknown")
    return SourceError(f"{stage}: stopped: {cause[:300]}; run again once mended, nothing was lost")
