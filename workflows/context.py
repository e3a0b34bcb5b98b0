"""What a task's process knows of the run that it is part of."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CONTEXT = "WORKFLOWS_TASK"  # the variable that holds it, as JSON
MAX_VALUE_BYTES = 48 * 1024  # of a task value's JSON, as documented


@dataclass(frozen=True)
class TaskContext:
    """Where a task stands: see workflows.requests. Outside of a run all of it is empty."""

    store: str = ""
    run_id: int = 0
    task: str = ""
    values: str = ""
    root: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    spark_conf: dict[str, str] = field(default_factory=dict)
    own_cluster: bool = False
    spark: dict[str, Any] = field(default_factory=dict)


def task_context() -> TaskContext:
    """The context of this process."""
    return TaskContext(**json.loads(os.environ.get(CONTEXT, "{}")))


def set_value(key: str, value: Any) -> None:
    """Leave a value for the tasks that follow.

    Raises:
        ValueError: it has no JSON form, or that is too large.
    """
    try:
        text = json.dumps([key, value], ensure_ascii=False)
    except TypeError as error:
        raise ValueError(f"task value '{key}' has no JSON form: {error}") from None
    if len(json.dumps(value).encode()) > MAX_VALUE_BYTES:
        raise ValueError(f"task value '{key}' is over 48 KiB; write it to a table or file")
    context = task_context()
    if context.values:
        with Path(context.values).open("a", encoding="utf-8") as file:
            file.write(text + "\n")


def get_value(task: str, key: str) -> tuple[bool, Any]:
    """Whether a task of this run has left a value, and the value."""
    import sqlite3

    context = task_context()
    store = sqlite3.connect(f"file:{context.store}?mode=ro", uri=True)
    try:
        row = store.execute(
            "SELECT value FROM task_values WHERE run_id = ? AND task = ? AND key = ?",
            (context.run_id, task, key),
        ).fetchone()
    finally:
        store.close()
    return row is not None, json.loads(row[0]) if row else None
