"""One attempt at a task: a process of its own, output in a file, ended with all its children."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from workflows.jobs import Task

GRACE_SECONDS = 10.0  # a Spark session stops in 1 to 3 s
TAIL_BYTES = 4096


class TaskState(StrEnum):
    """The states of a task, by Databricks' names; RETRYING is ours."""

    RUNNING = "RUNNING"
    RETRYING = "RETRYING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEDOUT = "TIMEDOUT"
    CANCELED = "CANCELED"
    UPSTREAM_FAILED = "UPSTREAM_FAILED"


class Processes:
    """The processes of a run. Once it has ended, none is left and none can be started."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._running: set[subprocess.Popen[bytes]] = set()

    def start(
        self, command: list[str], cwd: Path, env: dict[str, str], log: Path
    ) -> subprocess.Popen[bytes] | None:
        """A new process, the leader of its own group; None if the run has ended."""
        with self._lock:
            if self._ended.is_set():
                return None
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._running.add(process)
            return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and what it started: first asked, then made to."""
        if process.poll() is None:
            _signal(process, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_SECONDS)
        # Also after an ordinary end: what a task leaves behind would outlive the run.
        _signal(process, signal.SIGKILL)
        process.wait()
        with self._lock:
            self._running.discard(process)

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self._ended.is_set()

    def end(self) -> None:
        """End every process, and let none start any more."""
        with self._lock:
            self._ended.set()
            running = list(self._running)
        for process in running:
            _signal(process, signal.SIGTERM)
        for process in running:
            self.stop(process)

    def sleep(self, seconds: float, deadline: float | None) -> None:
        """Wait, unless the run ends or passes its deadline before that."""
        left = seconds if deadline is None else min(seconds, deadline - time.monotonic())
        if left > 0:
            self._ended.wait(left)


def attempt(
    task: Task, root: Path, log: Path, processes: Processes, deadline: float | None
) -> tuple[TaskState, str]:
    """Run a task once; its state, and what went wrong in one line."""
    limits = [time.monotonic() + task.timeout_seconds] if task.timeout_seconds else []
    limits += [] if deadline is None else [deadline]
    left = min(limits) - time.monotonic() if limits else None
    if left is not None and left <= 0:
        log.touch()
        return TaskState.TIMEDOUT, "the job's timeout_seconds had passed before it could start"
    env = {**os.environ, "PYTHONUNBUFFERED": "1", **task.environment}
    process = processes.start(_command(task, log), root, env, log)
    if process is None:
        log.touch()
        return TaskState.CANCELED, "the run was ended"
    try:
        code = process.wait(left)
    except subprocess.TimeoutExpired:
        limit = "job" if deadline in limits and min(limits) == deadline else "task"
        return TaskState.TIMEDOUT, f"ended after {left:.0f} s by the {limit}'s timeout_seconds"
    finally:
        processes.stop(process)
    if code == 0:
        return TaskState.SUCCESS, ""
    if processes.ended:
        return TaskState.CANCELED, "the run was ended"
    return TaskState.FAILED, f"exit code {code}: {_last_line(log)}"


def _command(task: Task, log: Path) -> list[str]:
    if task.kind == "notebook_task":
        page = log.with_suffix(".html")
        return [sys.executable, "-m", "workflows.notebook", str(task.file), "--html", str(page)]
    return [sys.executable, str(task.file), *task.parameters]


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
