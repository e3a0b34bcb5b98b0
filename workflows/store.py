"""The state of runs: what a runner that dies leaves, and another takes up.

A step of a run is one transaction.
"""

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from workflows.database import Database
from workflows.events import Run, Unit
from workflows.owner import is_alive, own_name
from workflows.records import RunRecord
from workflows.states import State

LISTED = "run_id, job, state, created_at, started_at, ended_at, message, parent, parent_unit"


class Store(Database):
    """Runs, their units and what they left, in one file."""

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

    def save(self, run_id: int, run: Run, changed: Iterable[tuple[str, Unit]]) -> None:
        """Write what a step has changed."""
        self._db.execute(
            "UPDATE runs SET state = ?, started_at = ?, ended_at = ?, verdict = ?, message = ?"
            " WHERE run_id = ?",
            (run.state, run.started_at, run.ended_at, run.verdict, run.message, run_id),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO units VALUES (?, ?, ?, ?)",
            [(run_id, k, u.state, json.dumps(vars(u))) for k, u in changed],
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

    def own(self, run_id: int) -> None:
        """Note that a run goes on in this process."""
        self._db.execute("UPDATE runs SET owner = ? WHERE run_id = ?", (own_name(), run_id))

    def is_running(self, run_id: int) -> bool:
        """Whether a run goes on, or waits its turn, in some process that lives."""
        row = self._db.execute(
            "SELECT state, owner FROM runs WHERE run_id = ?", (run_id,)
        ).fetchone()
        return row is not None and not State(row[0]).ended and is_alive(row[1])

    def running(self, job: str) -> list[int]:
        """The runs of a job that go on."""
        rows = self.runs(job=job, states=(State.RUNNING,))
        return [row["run_id"] for row in rows if self.is_running(row["run_id"])]

    def lost(self) -> list[int]:
        """Runs that went on or waited when their runner died, the oldest first.

        Runs that another run began are taken up by it.
        """
        rows = self._rows(
            "SELECT run_id, owner FROM runs WHERE state IN (?, ?) AND parent IS NULL"
            " ORDER BY run_id",
            (State.RUNNING, State.QUEUED),
        )
        return [row["run_id"] for row in rows if not is_alive(row["owner"])]

    def lost_child(self, parent: tuple[int, str] | None) -> int | None:
        """The run that a unit was waiting for when its runner died."""
        rows = self._rows(
            "SELECT run_id FROM runs WHERE parent = ? AND parent_unit = ? AND state = ?",
            (*(parent or (None, None)), State.RUNNING),
        )
        lost = (row["run_id"] for row in rows if not self.is_running(row["run_id"]))
        return next(lost, None)

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


def _unit(detail: dict[str, Any]) -> Unit:
    verdict = detail.pop("verdict")
    state = State(detail.pop("state"))
    return Unit(state, verdict=State(verdict) if verdict else None, **detail)
