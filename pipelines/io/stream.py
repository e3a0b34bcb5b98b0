"""A stream whose every batch is applied exactly once, and how it starts, reports and ends."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from pipelines.errors import BrokerError, DiskFullError, LakehouseError, SourceError
from pipelines.io.checkpoints import checkpoint_id
from pipelines.io.stream_report import StreamReport
from pipelines.io.write import Transaction
from pipelines.sources.failures import source_failure


def exactly_once(
    arriving: DataFrame,
    stage: str,
    checkpoint: str,
    add: Callable[[DataFrame, Transaction], None],
) -> DataStreamWriter:
    """A stream whose every batch is one transaction, named after the checkpoint's own id.

    Batch numbers start again at 0 in a new checkpoint; its new id keeps Delta from taking them
    for repetitions.
    """
    ids: list[str] = []

    def add_once(batch: DataFrame, batch_id: int) -> None:
        is_first = not ids
        if is_first:
            ids.append(checkpoint_id(batch.sparkSession, checkpoint))
        add(batch, Transaction(f"{stage}-{ids[0]}", batch_id, is_first))

    return (
        arriving.writeStream.queryName(stage)
        .option("checkpointLocation", checkpoint)
        .foreachBatch(add_once)
    )


class Stream:
    """A stream that runs within a `with` block; what it reports goes on to `report`.

    Leaving the block stops it: a batch that is not committed by then is done again by the next
    start.
    """

    def __init__(self, writer: DataStreamWriter, report: StreamReport) -> None:
        self._writer, self.report = writer, report
        self._query: StreamingQuery
        self._failed = ""

    def triggered(self, **trigger: Any) -> Self:
        """The same stream with a trigger, as Spark names it."""
        self._writer = self._writer.trigger(**trigger)
        return self

    def __enter__(self) -> Self:
        self._query = self._writer.start()
        self.report.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A signal may have come amid a call to the JVM, whose answer this thread would then take
        # for that of the next call; another thread has a connection of its own.
        with ThreadPoolExecutor(1) as other:
            other.submit(self._stop, is_done=kind is None).result()

    def _stop(self, *, is_done: bool) -> None:
        self._query.stop()
        self.report.look(self._query)
        self.report.close(self._failed, is_done=is_done)

    @property
    def is_reading(self) -> bool:
        """Whether a batch has begun: what comes from now on is read."""
        return bool(self._query.status["isTriggerActive"])

    def ended(self, seconds: float) -> bool:
        """Wait for the end of the stream, not longer than this, and report.

        Raises:
            LakehouseError: it failed.
        """
        try:
            ended = self._query.awaitTermination(seconds)  # type: ignore[arg-type]  # takes fractions
        except StreamingQueryException as error:
            failure = stream_error(self._query.name or "stream", str(error))
            self._failed = str(failure)
            raise failure from None
        self.report.look(self._query)
        return bool(ended)


def stream_error(stage: str, message: str) -> LakehouseError:
    """A stream's failure as one line that says what to do."""
    if failure := source_failure(stage, message):
        return failure
    if "No space left on device" in message:
        return DiskFullError(
            f"{stage}: no space left on the disk; free some and run again, nothing was lost"
        )
    if re.search(
        r"KAFKA_DATA_LOSS|OffsetOutOfRange|offset was changed from|data may have", message
    ):
        return SourceError(
            f"{stage}: the topic no longer holds the offsets that were to be read next: they have "
            "expired; what was read is safe; let the topic keep events for longer, and run "
            "`lakehouse ingest --resume-from-bronze`, which says what is missing and reads on"
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
