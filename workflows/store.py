"""The state of runs in SQLite: what a runner that dies leaves, and another takes up.

Write-ahead logging, so that readers never wait for the writer. A step of a run is one transaction.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from workflows.events import Run, Unit
from workflows.records import RunRecord
from workflows.states import State

VERSION = 1
BUSY_SECONDS = 10
LISTED = "run_id, job, state, created_at, started_at, ended_at, message, parent, parent_unit"
TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    run_id INTEGER PRIMARY KEY, job TEXT NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL,
    created_at REAL NOT NULL, started_at REAL, ended_at REAL, verdict TEXT, message TEXT NOT NULL,
    parent INTEGER, parent_unit TEXT);
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
    name TEXT PRIMARY KEY, position TEXT NOT NULL, paused INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit (
    at REAL NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL, run_id INTEGER,
    detail TEXT NOT NULL);
"""


class Store:
    """Runs, their units and what they left, in one file."""

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

    # Runs

    def add(self, record: RunRecord, state: State) -> int:
        """Note a new run; its number."""
        row = self._db.execute(
            "INSERT INTO runs (job, state, record, created_at, message, parent, parent_unit)"
            " VALUES (?, ?, ?, ?, '', ?, ?)",
            (
                record.job.key,
                state,
                record.to_json(),
                time.time(),
                *(record.parent or (None, None)),
            ),
        )
        return int(row.lastrowid or 0)

    def record(self, run_id: int) -> RunRecord | None:
        """What a run was started with."""
        row = self._db.execute("SELECT record FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return RunRecord.from_json(row[0]) if row else None

    def update_record(self, run_id: int, record: RunRecord) -> None:
        """Keep what a repair changes."""
        self._db.execute("UPDATE runs SET record = ? WHERE run_id = ?", (record.to_json(), run_id))

    def save(self, run_id: int, before: Run | None, run: Run) -> None:
        """Write what a step has changed."""
        self._db.execute(
            "UPDATE runs SET state = ?, started_at = ?, ended_at = ?, verdict = ?, message = ?"
            " WHERE run_id = ?",
            (run.state, run.started_at, run.ended_at, run.verdict, run.message, run_id),
        )
        known = before.units if before else {}
        changed = [(k, u) for k, u in run.units.items() if known.get(k) is not u]
        self._db.executemany(
            "INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?)",
            [(run_id, k, u.state, json.dumps(asdict(u))) for k, u in changed],
        )

    def set_state(self, run_id: int, state: State, message: str = "") -> None:
        """Change a run that has no units yet: queued, started, or refused."""
        ended = time.time() if state.ended else None
        self._db.execute(
            "UPDATE runs SET state = ?, message = ?, ended_at = ? WHERE run_id = ?",
            (state, message, ended, run_id),
        )

    def load(self, run_id: int) -> Run | None:
        """A run as it was last saved; None if it never started."""
        row = self._db.execute(
            "SELECT state, started_at, ended_at, verdict, message FROM runs WHERE run_id = ?",
            (run_id,),
        ).fetchone()
        if row is None or row[1] is None:
            return None
        state, started_at, ended_at, verdict, message = row
        units = self._db.execute("SELECT unit, detail FROM units WHERE run_id = ?", (run_id,))
        return Run(
            {key: _unit(json.loads(detail)) for key, detail in units},
            started_at,
            State(state),
            ended_at,
            State(verdict) if verdict else None,
            message,
        )

    def runs(
        self, *, job: str | None = None, states: tuple[State, ...] = (), limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Runs, the newest first."""
        where, values = ["1"], list[object]()
        if job is not None:
            where.append("job = ?")
            values.append(job)
        if states:
            where.append(f"state IN ({', '.join('?' * len(states))})")
            values += states
        query = f"SELECT {LISTED} FROM runs WHERE {' AND '.join(where)}"  # noqa: S608  our words
        return self._rows(f"{query} ORDER BY run_id DESC LIMIT ?", (*values, limit))

    # Attempts and values

    def attempt_started(self, run_id: int, unit: str, attempt: int) -> None:
        """Note that an attempt has begun."""
        self._db.execute(
            "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, NULL, '')",
            (run_id, unit, attempt, State.RUNNING, time.time()),
        )

    def attempt_ended(
        self, run_id: int, unit: str, attempt: int, state: State, message: str
    ) -> None:
        """Note how an attempt ended."""
        self._db.execute(
            "UPDATE attempts SET state = ?, ended_at = ?, message = ?"
            " WHERE run_id = ? AND unit = ? AND attempt = ?",
            (state, time.time(), message, run_id, unit, attempt),
        )

    def attempts(self, run_id: int) -> list[dict[str, Any]]:
        """Every attempt of a run, in the order they began."""
        return self._rows("SELECT * FROM attempts WHERE run_id = ? ORDER BY started_at", (run_id,))

    def set_values(self, run_id: int, task: str, values: Mapping[str, Any]) -> None:
        """Keep what a task has left for others."""
        self._db.executemany(
            "INSERT OR REPLACE INTO task_values VALUES (?, ?, ?, ?)",
            [(run_id, task, key, json.dumps(value)) for key, value in values.items()],
        )

    def values(self, run_id: int) -> dict[str, dict[str, Any]]:
        """What the tasks of a run have left, by task and key."""
        found: dict[str, dict[str, Any]] = {}
        rows = self._db.execute(
            "SELECT task, key, value FROM task_values WHERE run_id = ?", (run_id,)
        )
        for task, key, value in rows:
            found.setdefault(task, {})[key] = json.loads(value)
        return found

    def _rows(self, query: str, values: tuple[object, ...]) -> list[dict[str, Any]]:
        cursor = self._db.execute(query, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def _unit(detail: dict[str, Any]) -> Unit:
    verdict = detail.pop("verdict")
    state = State(detail.pop("state"))
    return Unit(state, verdict=State(verdict) if verdict else None, **detail)
