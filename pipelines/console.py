"""What a command says while it works (standard error) and when it ends (standard output)."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table

# A pipe has no width; 80 columns would break the values that a script or a log should keep whole.
_OUT = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
# A terminal is redrawn often; a log file gets a line now and then.
_REDRAW_S, _LOG_S = 0.2, 10.0


class Progress:
    """Rows so far and rows per second of the running stage, on standard error."""

    def __init__(self) -> None:
        self._stage = ""
        self._started = self._shown = 0.0
        self._rows = 0
        self._live = sys.stderr.isatty()

    def stage(self, name: str) -> None:
        """A new stage begins; the last one is closed with its total."""
        self._close()
        self._stage, self._rows = name, 0
        self._started = self._shown = time.monotonic()

    def rows(self, count: int) -> None:
        """Rows that the stage has done so far."""
        self._rows = max(count, self._rows)
        now = time.monotonic()
        if now - self._shown >= (_REDRAW_S if self._live else _LOG_S):
            self._shown = now
            self._write(end="\r" if self._live else "\n")

    def of(self, stage: str, count: int) -> None:
        """Rows of a stage by name; the first call for a new name begins it."""
        if stage != self._stage:
            self.stage(stage)
        self.rows(count)

    def note(self, text: str) -> None:
        """One line about something that happened."""
        self._close()
        sys.stderr.write(f"  {text}\n")
        sys.stderr.flush()

    def close(self) -> None:
        """The last stage has ended."""
        self._close()

    def _close(self) -> None:
        if self._stage:
            self._write(end="\n")
        self._stage = ""

    def _write(self, end: str) -> None:
        seconds = time.monotonic() - self._started
        rate = f"  {self._rows / seconds:>10,.0f}/s" if self._rows and seconds > 0.5 else ""
        count = f"{self._rows:>11,}" if self._rows else " " * 11
        line = f"  {self._stage:<28}{count}{rate}  {seconds:6.1f} s"
        sys.stderr.write(f"{line:<72}{end}")
        sys.stderr.flush()


def show(result: object, *, as_json: bool, text: RenderableType | None = None) -> None:
    """End a command: one JSON object, or the text made for people."""
    if as_json:
        sys.stdout.write(json.dumps(result, default=_plain) + "\n")
    elif text is not None:
        _OUT.print(text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table; columns of numbers are set to the right."""
    made = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
    for place, column in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        made.add_column(column, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(_cell, row))
    return made


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return "" if value is None else str(value).replace("[", "\\[")


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal | Path):
        return str(value)
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="replace")
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
