"""What a running stream tells of itself, kept where any process can read it."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyspark.sql.streaming.listener import SourceProgress, StreamingQueryProgress
from pyspark.sql.streaming.query import StreamingQuery

from pipelines.errors import LakehouseError
from pipelines.streams import StreamState, load_streams, save_stream

# Reading silver's own account takes some 0.5 s of a core.
FACTS_EVERY_S = 10.0


@dataclass(frozen=True)
class Facts:
    """What the tables say of a stream: all rows so far by what became of them, and its lag."""

    outcomes: dict[str, int] = field(default_factory=dict)
    lag: int | None = None
    lag_unit: str = ""


class StreamReport:
    """Keeps the state of one stream up to date, and counts the rows of this run.

    Args:
        state: the state folder.
        stream: `bronze`, `silver` or `documents`.
        facts: what only the tables know, from the offset that the stream has reached.
    """

    def __init__(
        self, state: Path, stream: str, facts: Callable[[str], Facts] | None = None
    ) -> None:
        known = {s.stream: s for s in load_streams(state)}.get(stream)
        self.rows = 0
        self._folder, self._facts, self._facts_at = state, facts, 0.0
        self._state = StreamState(stream, rows=known.rows if known else 0)
        self._newest, self._offset = "", ""
        if known:
            self._state = replace(self._state, outcomes=known.outcomes)

    def open(self) -> None:
        """The stream has started."""
        self._save()

    def look(self, query: StreamingQuery) -> None:
        """Take in what the query has reported since the last look."""
        new = [step for step in query.recentProgress if step.timestamp > self._newest]
        for step in new:
            self._take(step)
        if new:
            if time.monotonic() - self._facts_at > FACTS_EVERY_S:
                self._ask()
            self._save()

    def batch(self, rows: int, seconds: float, lag: int, unit: str) -> None:
        """One batch of a stream that is no streaming query."""
        rate = rows / seconds if seconds else 0.0
        self._state = replace(
            self._state, batch=self._state.batch + 1, rows=self._state.rows + rows,
            rows_per_second=rate, batch_seconds=seconds, lag=lag, lag_unit=unit,
        )  # fmt: skip
        self.rows += rows
        self._save()

    def close(self, error: str = "", *, is_done: bool = True) -> None:
        """The stream has ended, or failed with this line; `is_done`: it was not cut short."""
        if is_done:
            self._ask()
        self._state = replace(self._state, status="failed" if error else "ended", error=error)
        self._save()

    def _take(self, step: StreamingQueryProgress) -> None:
        self._newest = step.timestamp
        (source,) = step.sources
        self._offset = source.endOffset
        lag, unit = _lag(source)
        seconds = step.batchDuration / 1000
        # The rate of arrival needs a batch before this one.
        rate = (
            step.inputRowsPerSecond if step.inputRowsPerSecond > 0 else step.processedRowsPerSecond
        )
        idle = not step.numInputRows
        self.rows += step.numInputRows
        self._state = replace(
            self._state,
            batch=step.batchId,
            rows=self._state.rows + step.numInputRows,
            rows_per_second=0.0 if idle else round(rate, 1),
            batch_seconds=self._state.batch_seconds if idle else seconds,
            lag=self._state.lag if lag is None else lag,
            lag_unit=unit or self._state.lag_unit,
        )

    def _ask(self) -> None:
        if self._facts:
            found = self._facts(self._offset)
            self._facts_at = time.monotonic()
            self._state = replace(
                self._state, outcomes=found.outcomes, lag=found.lag, lag_unit=found.lag_unit
            )

    def _save(self) -> None:
        self._state = replace(self._state, at=time.time())
        save_stream(self._folder, self._state)


@contextlib.contextmanager
def reporting(state: Path, stream: str) -> Iterator[StreamReport]:
    """The report of a stream that runs while the block does."""
    report = StreamReport(state, stream)
    report.open()
    try:
        yield report
    except LakehouseError as error:
        report.close(str(error))
        raise
    except BaseException:
        report.close(is_done=False)
        raise
    report.close()


def _lag(source: SourceProgress) -> tuple[int | None, str]:
    """How far Kafka's newest offsets are ahead of what was read; other sources do not tell.

    Nor does Kafka's of a batch that is repeated after a crash.
    """
    read, newest = (json.loads(o or "null") for o in (source.endOffset, source.latestOffset))
    if not source.description.startswith("Kafka") or not read or not newest:
        return None, ""
    lag = 0
    for topic, partitions in newest.items():
        for partition, offset in partitions.items():
            lag += max(0, offset - read.get(topic, {}).get(partition, 0))
    return lag, "offsets"
