"""Calls of webhooks that are still to be made: on disk before the event counts as reacted on."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.errors import DiskFullError, StoreError

# Made calls are remembered so long that an event which is read again is not posted again.
REMEMBERED_S = 7 * 86_400
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  id TEXT PRIMARY KEY, reaction TEXT NOT NULL, webhook TEXT NOT NULL, body TEXT NOT NULL,
  made_at REAL NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL DEFAULT 'waiting', error TEXT NOT NULL DEFAULT '', burial INTEGER
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS due ON calls (webhook, state, due_at);
CREATE INDEX IF NOT EXISTS ended ON calls (state, due_at);
CREATE TABLE IF NOT EXISTS outbox (id TEXT NOT NULL, burials INTEGER NOT NULL);
INSERT INTO outbox SELECT lower(hex(randomblob(8))), 0 WHERE NOT EXISTS (SELECT 1 FROM outbox);
"""
_COLUMNS = "id, reaction, webhook, body, attempts, error, made_at"


@dataclass(frozen=True, slots=True)
class Letter:
    """A call: `body` is posted; `attempts` were made, the last of which ended with `error`.

    `webhook` is empty where it was the reaction itself that failed.
    """

    id: str
    reaction: str
    webhook: str
    body: str
    attempts: int = 0
    error: str = ""
    made_at: float = 0.0


class Outbox:
    """An SQLite file; safe to share between threads.

    A call is waiting, done, dead, or (`burial` of the table of dead letters) buried.

    Raises:
        StoreError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from None

    def add(self, letters: Iterable[Letter]) -> None:
        """Keep calls to be made; one that is known already changes nothing."""
        now = time.time()
        rows = [(one.id, one.reaction, one.webhook, one.body, now, now) for one in letters]
        insert = (
            "INSERT OR IGNORE INTO calls (id, reaction, webhook, body, made_at, due_at)"
            " VALUES (?, ?, ?, ?, ?, ?)"
        )
        self._write([(insert, row) for row in rows])

    def give_up(self, letter: Letter) -> None:
        """Keep what will never be done, for the table of dead letters."""
        now = time.time()
        insert = (
            "INSERT OR IGNORE INTO calls (id, reaction, webhook, body, made_at, due_at, state,"
            " error, attempts) VALUES (?, ?, ?, ?, ?, ?, 'dead', ?, ?)"
        )
        row = (letter.id, letter.reaction, letter.webhook, letter.body, now, now)
        self._write([(insert, (*row, letter.error, letter.attempts))])

    def due(self, webhook: str) -> Letter | None:
        """The call of a webhook that is due the longest."""
        where = "webhook = ? AND state = 'waiting' AND due_at <= ? ORDER BY due_at, made_at, id"
        found = self._letters(f"{where} LIMIT 1", (webhook, time.time()))
        return next(iter(found), None)

    def done(self, letter: Letter) -> None:
        """The call was made."""
        self._end(letter, "done", "")

    def retry(self, letter: Letter, error: str, wait_s: float) -> None:
        """The call failed and is to be made again after a while."""
        update = "UPDATE calls SET attempts = attempts + 1, error = ?, due_at = ? WHERE id = ?"
        self._write([(update, (error, time.time() + wait_s, letter.id))])

    def die(self, letter: Letter, error: str) -> None:
        """The call failed for good."""
        self._end(letter, "dead", error)

    def counts(self) -> dict[str, int]:
        """How many calls there are by state."""
        with self._lock, closing(self._db.cursor()) as cursor:
            return dict(cursor.execute("SELECT state, COUNT(*) FROM calls GROUP BY state"))

    def burial(self) -> tuple[str, int, list[Letter]]:
        """This outbox's id, a number, and the dead calls that go into the table under it.

        Until `buried`, the same number gives the same calls, whatever ends in between.
        """
        with self._lock, closing(self._db.cursor()) as cursor:
            ((name, number),) = cursor.execute("SELECT id, burials FROM outbox")
        letters = self._letters("state = 'dead' AND burial = ? ORDER BY id", (number,))
        if not letters:
            self._write(
                [("UPDATE calls SET burial = ? WHERE state = 'dead' AND burial IS NULL", (number,))]
            )
            letters = self._letters("state = 'dead' AND burial = ? ORDER BY id", (number,))
        return name, number, letters

    def buried(self, number: int) -> None:
        """The calls of a burial stand in the table."""
        buried = "UPDATE calls SET state = 'buried' WHERE burial = ?"
        self._write([(buried, (number,)), ("UPDATE outbox SET burials = ?", (number + 1,))])

    def forget(self) -> None:
        """Drop what ended so long ago that its event will not be read again."""
        over = "DELETE FROM calls WHERE state IN ('done', 'buried') AND due_at < ?"
        self._write([(over, (time.time() - REMEMBERED_S,))])

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _end(self, letter: Letter, state: str, error: str) -> None:
        update = (
            "UPDATE calls SET state = ?, error = ?, attempts = attempts + 1, due_at = ?"
            " WHERE id = ?"
        )
        self._write([(update, (state, error, time.time(), letter.id))])

    def _letters(self, where: str, values: tuple[Any, ...]) -> list[Letter]:
        select = f"SELECT {_COLUMNS} FROM calls WHERE {where}"  # noqa: S608 # our own texts
        with self._lock, closing(self._db.cursor()) as cursor:
            return [Letter(*row) for row in cursor.execute(select, values)]

    def _write(self, statements: list[tuple[str, tuple[Any, ...]]]) -> None:
        if not statements:
            return
        try:
            with self._lock, closing(self._db.cursor()) as cursor:
                cursor.execute("BEGIN IMMEDIATE")
                try:
                    for statement, values in statements:
                        cursor.execute(statement, values)
                    cursor.execute("COMMIT")
                except BaseException:
                    with suppress(sqlite3.Error):  # a full disk has rolled it back already
                        cursor.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            raise self._error(error) from None

    def _error(self, error: Exception) -> StoreError | DiskFullError:
        if "full" in str(error):
            return DiskFullError(f"{self._path}: no space left on the disk; free some")
        return StoreError(f"{self._path}: {error}; see that nothing else uses it, then run again")


def body_of(told: dict[str, Any]) -> str:
    """The JSON that is posted or sent.

    Raises:
        ValueError, TypeError: it is none.
    """
    return json.dumps(told, allow_nan=False, separators=(",", ":"))
