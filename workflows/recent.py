"""The latest runs, for those who look on."""

from pathlib import Path
from typing import Any

from workflows.runner import STORE
from workflows.states import State
from workflows.store import Store

SHOWN = ("run_id", "job", "state", "started_at", "ended_at", "message")


def recent_runs(folder: Path, limit: int = 20) -> list[dict[str, Any]]:
    """The latest runs of jobs, the newest first; none where no job ever ran.

    Args:
        folder: where the runs are kept.
        limit: how many, at most.

    Returns:
        Run, job, state, `started_at` and `ended_at` in seconds since 1970, the message, and
        `is_lost`: it went on when its runner died.
    """
    file = folder / STORE
    if not file.is_file():
        return []
    store = Store(file)
    try:
        lost = set(store.lost())
        return [
            {name: row[name] for name in SHOWN}
            | {"is_lost": row["run_id"] in lost, "has_ended": State(row["state"]).ended}
            for row in store.runs(limit=limit)
        ]
    finally:
        store.close()
