"""How each stream is doing: one small file per stream, which any process may read."""

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

# What may become of a row: to its table, to quarantine, dropped as sent before, parked as later
# than the horizon, passed over because silver has it.
OUTCOMES = ("valid", "rejected", "duplicate", "late", "seen")


@dataclass(frozen=True)
class StreamState:
    """What a stream reported last.

    Attributes:
        stream: `bronze`, `silver` or `documents`.
        status: `running`, `ended` or `failed`, as it said itself; see `is_live`.
        at: of its last report, in seconds since 1970.
        rows: that it has read in this lake, repetitions included.
        rows_per_second: that arrived since the batch before the last.
        lag: what the source holds beyond the last batch, in `lag_unit`; None if it cannot tell.
        outcomes: what became of all rows so far, by `OUTCOMES`.
        error: the line with which it failed.
    """

    stream: str
    status: str = "running"
    at: float = 0.0
    batch: int = -1
    rows: int = 0
    rows_per_second: float = 0.0
    batch_seconds: float = 0.0
    lag: int | None = None
    lag_unit: str = ""
    outcomes: dict[str, int] = field(default_factory=dict)
    error: str = ""
    process: int = field(default_factory=os.getpid)
    process_started_at: float = field(default_factory=lambda: psutil.Process().create_time())

    @property
    def is_live(self) -> bool:
        """Whether the process that reported it still runs the stream."""
        with contextlib.suppress(psutil.NoSuchProcess):
            started_at = psutil.Process(self.process).create_time()
            return self.status == "running" and started_at == self.process_started_at
        return False

    @property
    def condition(self) -> str:
        """`status`, or `died` where the process can no longer say so."""
        return "died" if self.status == "running" and not self.is_live else self.status

    @property
    def age_seconds(self) -> float:
        return max(0.0, time.time() - self.at)


def save_stream(state: Path, stream: StreamState) -> None:
    """Replace the file of a stream; a reader sees the old one or the new one whole."""
    folder = state / "streams"
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{stream.stream}.{os.getpid()}.draft"
    draft.write_text(json.dumps(asdict(stream)))
    draft.replace(folder / f"{stream.stream}.json")


def load_streams(state: Path) -> list[StreamState]:
    """What every stream of a lake reported last, in the order in which events pass them.

    A file that is damaged or of another release is left out: the stream writes it anew.
    """
    found = []
    for file in sorted((state / "streams").glob("*.json")):
        with contextlib.suppress(ValueError, TypeError, FileNotFoundError):
            found.append(StreamState(**json.loads(file.read_text())))
    return found
