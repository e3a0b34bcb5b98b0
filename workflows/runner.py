"""Run a bundle's job on this machine: its tasks in dependency order, each in its own process.

A task that fails is tried again as often as it asks; what waits for it is then not started. However
the run ends, no process of it stays behind.
"""

import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType

from workflows.bundle import Bundle
from workflows.jobs import Job, Task
from workflows.process import Processes, TaskState, attempt
from workflows.support import check_supported


@dataclass(frozen=True)
class TaskRun:
    """How a task ended.

    Attributes:
        attempts: how often it was started.
        log: the output of the last attempt; None if it was never started.
        message: what went wrong, in one line; empty on success.
    """

    key: str
    state: TaskState
    seconds: float = 0.0
    attempts: int = 0
    log: Path | None = None
    message: str = ""


@dataclass(frozen=True)
class JobRun:
    """How a job ended, its tasks in the order they ended in.

    Attributes:
        folder: where the logs and the notebooks' pages are.
    """

    job: str
    tasks: tuple[TaskRun, ...]
    seconds: float
    folder: Path

    @property
    def state(self) -> TaskState:
        """SUCCESS if every task succeeded, else the state of the first that did not."""
        bad = (task.state for task in self.tasks if task.state is not TaskState.SUCCESS)
        return next(bad, TaskState.SUCCESS)


Listener = Callable[[TaskRun], None]


def run_job(
    bundle: Bundle,
    job_name: str,
    *,
    on_event: Listener | None = None,
    folder: Path | None = None,
    max_parallel: int = 1,
) -> JobRun:
    """Run every task of a job.

    Args:
        on_event: told of each task as it starts (RUNNING), is about to be tried again (RETRYING)
            and ends; from any thread, one call at a time for a task.
        folder: for logs and notebook pages; None makes one among the temporary files.
        max_parallel: how many independent tasks may run at the same time. Each may hold a Spark
            session, so the default is one.

    Raises:
        BundleError: there is no such job, or it uses what is not supported here; nothing has run.
        KeyboardInterrupt: on Ctrl-C, after the tasks' processes have ended.
        SystemExit: on SIGTERM, likewise.
    """
    job = bundle.job(job_name)
    check_supported(job)
    folder = folder or Path(tempfile.mkdtemp(prefix=f"{job_name}-"))
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(bundle.root, folder, job.timeout_seconds, on_event or (lambda event: None))
    started = time.monotonic()
    with _terminable(), ThreadPoolExecutor(max_parallel) as pool:
        try:
            ended = tuple(_in_order(job, run, pool))
        finally:
            run.processes.end()
    return JobRun(job_name, ended, time.monotonic() - started, folder)


class _Run:
    """What the tasks of one run share."""

    def __init__(self, root: Path, folder: Path, timeout: int, tell: Listener) -> None:
        self.root = root
        self.folder = folder
        self.deadline = time.monotonic() + timeout if timeout else None
        self.tell = tell
        self.processes = Processes()


def _in_order(job: Job, run: _Run, pool: ThreadPoolExecutor) -> Iterator[TaskRun]:
    tasks = {task.key: task for task in job.tasks}
    order = TopologicalSorter({task.key: task.depends_on for task in job.tasks})
    order.prepare()
    succeeded: set[str] = set()
    running: set[Future[TaskRun]] = set()
    while order.is_active():
        for key in order.get_ready():
            if succeeded.issuperset(tasks[key].depends_on):
                running.add(pool.submit(_run_task, tasks[key], run))
                continue
            failed = ", ".join(t for t in tasks[key].depends_on if t not in succeeded)
            skipped = TaskRun(key, TaskState.UPSTREAM_FAILED, message=f"{failed} did not succeed")
            run.tell(skipped)
            order.done(key)
            yield skipped
        if not running:
            continue
        complete, running = wait(running, return_when=FIRST_COMPLETED)
        for future in complete:
            result = future.result()
            if result.state is TaskState.SUCCESS:
                succeeded.add(result.key)
            order.done(result.key)
            yield result


def _run_task(task: Task, run: _Run) -> TaskRun:
    """Try a task until it succeeds or may not be tried again."""
    started, tries = time.monotonic(), 0
    while True:
        tries += 1
        log = run.folder / f"{task.key}.{tries}.log"
        try_started = time.monotonic()
        run.tell(TaskRun(task.key, TaskState.RUNNING, try_started - started, tries, log))
        state, message = attempt(task, run.root, log, run.processes, run.deadline)
        now = time.monotonic()
        ended = TaskRun(task.key, state, now - started, tries, log, message)
        retried = state is TaskState.FAILED or (
            state is TaskState.TIMEDOUT and task.retry_on_timeout and not _over(run.deadline)
        )
        if not retried or (task.max_retries >= 0 and tries > task.max_retries):
            run.tell(ended)
            return ended
        again = TaskRun(task.key, TaskState.RETRYING, now - started, tries, log, message)
        run.tell(again)
        # The interval counts from the start of the failed attempt.
        pause = try_started + task.min_retry_interval_millis / 1000 - now
        run.processes.sleep(pause, run.deadline)


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM unwind the run as Ctrl-C does; only the main thread may ask for that."""
    if current_thread() is not main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
