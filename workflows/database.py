"""The file that runs and triggers are kept in, what others ask of a runner, and who did what."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workflows.owner import own_name

VERSION = 1
BUSY_SECONDS = 10
TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run_id INTEGER PRIMARY KEY, job TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL,
    created_at REAL NOT NULL, started_at REAL, ended_at REAL, verdict TEXT, message TEXT NOT NULL,
    parent INTEGER, parent_unit TEXT, owner TEXT);
CREATE INDEX IF NOT EXISTS runs_by_job ON runs (job, state);
CREATE TABLE IF NOT EXISTS units (
    run_id INTEGER NOT NULL, unit TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (run_id, unit)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attempts (
    run_id INTEGER NOT NULL, unit TEXT NOT NULL, attempt INTEGER NOT NULL, state TEXT NOT NULL,
    started_at REAL NOT NULL, ended_at REAL, message TEXT NOT NULL,
    PRIMARY KEY (run_id, unit, attempt)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS task_values (
    run_id INTEGER NOT NULL, task TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (run_id, task, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS triggers (
    name TEXT PRIMARY KEY, position TEXT, paused INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS wishes (run_id INTEGER NOT NULL, unit TEXT);
CREATE TABLE IF NOT EXISTS audit (
    at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, run_id INTEGER,
    detail TEXT NOT NULL);
"""


class Database:
    """One SQLite file, with write-ahead logging: readers never wait for the writer."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._db = sqlite3.connect(file, timeout=BUSY_SECONDS, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")  # kill -9 loses nothing, a power cut may
        if self._db.execute("PRAGMA user_version").fetchone()[0] < VERSION:
            self._db.executescript(f"{TABLES}PRAGMA user_version={VERSION};")

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing of what is written inside."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # What others ask for

    def wish_cancel(self, run_id: int, unit: str | None = None) -> None:
        """Ask whoever runs a run to cancel it, or a unit of it."""
        self._db.execute("INSERT INTO wishes VALUES (?, ?)", (run_id, unit))

    def wishes(self) -> list[tuple[int, str | None]]:
        """The wishes about runs of this process; each is told once."""
        found = self._db.execute(
            "SELECT w.run_id, w.unit FROM wishes w JOIN runs r USING (run_id) WHERE r.owner = ?",
            (own_name(),),
        ).fetchall()
        for run_id, _ in found:
            self._db.execute("DELETE FROM wishes WHERE run_id = ?", (run_id,))
        return found

    def trigger(self, name: str) -> tuple[dict[str, Any] | None, bool | None]:
        """Where a trigger stands, and whether someone paused or unpaused it."""
        row = self._db.execute(
            "SELECT position, paused FROM triggers WHERE name = ?", (name,)
        ).fetchone()
        if row is None:
            return None, None
        position, paused = row
        return json.loads(position) if position else None, None if paused is None else bool(paused)

    def set_position(self, name: str, position: dict[str, Any] | None) -> None:
        """Keep where a trigger stands."""
        text = None if position is None else json.dumps(position)
        self._db.execute(
            "INSERT INTO triggers (name, position) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET position = excluded.position",
            (name, text),
        )

    def set_paused(self, name: str, paused: bool) -> None:
        """Pause a trigger, or let it go on, whatever the bundle says."""
        self._db.execute(
            "INSERT INTO triggers (name, paused) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET paused = excluded.paused",
            (name, paused),
        )

    # Who did what

    def audit(self, who: str, action: str, run_id: int | None, detail: str = "") -> None:
        """Note that someone did something to a run."""
        row = (time.time(), who, action, run_id, detail)
        self._db.execute("INSERT INTO audit VALUES (?, ?, ?, ?, ?)", row)

    def audited(self, limit: int = 100) -> list[dict[str, Any]]:
        """Who did what, the latest first."""
        return self._rows("SELECT * FROM audit ORDER BY at DESC LIMIT ?", (limit,))

    def _rows(self, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        cursor = self._db.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]
