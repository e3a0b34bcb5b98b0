"""Run a bundle's job on this machine and wait for it; take up a run, or repair one."""

import getpass
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.errors import BundleError
from workflows.active import Listener
from workflows.artifacts import build_missing
from workflows.bundle import Bundle
from workflows.engine import Engine
from workflows.facts import job_parameters
from workflows.lineage import Lineage
from workflows.notify import Notifier
from workflows.post import flush
from workflows.records import RunRecord
from workflows.references import hint
from workflows.signals import ending_on_signals
from workflows.states import State
from workflows.store import Store
from workflows.support import check_supported

ROOM = max(4, os.cpu_count() or 1)
STORE = "workflows.db"


@dataclass(frozen=True)
class TaskRun:
    """How a task ended; `log` is of its last attempt, None if it has none."""

    key: str
    state: State
    seconds: float
    attempts: int
    log: Path | None
    message: str


@dataclass(frozen=True)
class JobRun:
    """How a run ended, its tasks in the order they ended."""

    run_id: int
    job: str
    state: State
    seconds: float
    folder: Path
    tasks: tuple[TaskRun, ...]
    message: str = ""


@dataclass(frozen=True)
class Options:
    """How runs are made.

    Attributes:
        room: how many processes may run side by side.
        skip_unsupported: leave out what cannot run here instead of refusing the job.
        pipelines: for a pipeline's key in the bundle, the command of ours that updates it.
        spark: where Spark's settings come from: `call`, a function, and its `arguments`.
    """

    room: int = ROOM
    skip_unsupported: bool = False
    pipelines: Mapping[str, list[str]] = field(default_factory=dict)
    spark: Mapping[str, Any] = field(default_factory=dict)


def run_job(
    bundle: Bundle,
    job_name: str,
    *,
    folder: Path | None = None,
    parameters: Mapping[str, str] | None = None,
    listeners: tuple[Listener, ...] = (),
    options: Options | None = None,
) -> JobRun:
    """Run a job until it has ended.

    Args:
        folder: for the state of runs and their logs; None makes one among the temporary files.
        parameters: values of job parameters.
        listeners: told of every change of state.

    Raises:
        BundleError: there is no such job or parameter, or it cannot run here; nothing has run.
        KeyboardInterrupt, SystemExit: on Ctrl-C and SIGTERM, after the run was canceled.
    """
    options = options or Options()
    folder = folder or Path(tempfile.mkdtemp(prefix=f"{job_name}-"))
    record = record_of(bundle, job_name, folder, parameters=parameters, options=options)
    return _finished(folder, listeners, lambda engine: engine.submit(record))


def repair_run(
    folder: Path,
    run_id: int,
    *,
    parameters: Mapping[str, str] | None = None,
    listeners: tuple[Listener, ...] = (),
) -> JobRun:
    """Run what failed in a run again, and what depends on it; or go on with one that was cut off.

    Raises:
        BundleError: there is no such run, it goes on elsewhere, or nothing in it failed.
    """
    store = Store(folder / STORE)
    run = store.load(run_id)
    known, elsewhere = store.record(run_id), store.is_running(run_id)
    store.close()
    if known is None:
        raise BundleError(f"no run {run_id} in {folder / STORE}; see the list of runs")
    if elsewhere:
        raise BundleError(f"run {run_id} goes on in another process; wait for it or cancel it")
    if run is not None and run.state is State.SUCCESS:
        raise BundleError(f"run {run_id} succeeded; there is nothing to repair")

    def begin(engine: Engine) -> int:
        if run is None or not run.state.ended:
            engine.resume(run_id)
        else:
            engine.repair(run_id, parameters)
        return run_id

    return _finished(folder, listeners, begin)


def record_of(
    bundle: Bundle,
    job_name: str,
    folder: Path,
    *,
    parameters: Mapping[str, str] | None = None,
    options: Options | None = None,
    trigger: Mapping[str, Any] | None = None,
    backfill: str | None = None,
) -> RunRecord:
    """What a run of a job is started with.

    Raises:
        BundleError: there is no such job or parameter, or it cannot run here.
    """
    options = options or Options()
    job = bundle.job(job_name)
    for name in parameters or {}:
        if name not in job.parameters:
            known = hint(name, job.parameters)
            raise BundleError(f"job '{job_name}' has no parameter '{name}'; {known}")
    pipelines = pipelines_by_id(bundle, options)
    skipped = check_supported(bundle, job, pipelines, skip=options.skip_unsupported)
    build_missing(bundle, job)
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{job_name}-{secrets.token_hex(2)}"
    return RunRecord(
        job=job,
        root=str(bundle.root),
        folder=str(folder.absolute() / "runs" / name),
        bundle=bundle.name,
        target=bundle.target,
        jobs={each.id: each for each in bundle.jobs.values()},
        parameters=job_parameters(job, parameters or {}),
        trigger=trigger or {"type": "manual"},
        room=options.room,
        skipped=tuple(sorted(skipped)),
        user=getpass.getuser(),
        pipelines=pipelines,
        spark=options.spark,
        backfill=backfill,
    )


def pipelines_by_id(bundle: Bundle, options: Options) -> dict[str, list[str]]:
    """The commands that update pipelines, by the ids that tasks name them by."""
    commands = options.pipelines
    return {str(p["id"]): commands[k] for k, p in bundle.pipelines.items() if k in commands}


@contextmanager
def engine_in(folder: Path, listeners: tuple[Listener, ...] = ()) -> Iterator[Engine]:
    """An engine on the state in `folder`; at the end no process of it is left."""
    store = Store(folder / STORE)
    notifier = Notifier(folder / "notifications.jsonl")
    lineage = Lineage(os.environ.get("OPENLINEAGE_URL") or str(folder / "lineage.jsonl"))
    everyone: tuple[Listener, ...] = (*listeners, notifier, lineage)
    engine = Engine(store, listeners=everyone, watchers=(notifier,))
    try:
        yield engine
    finally:
        engine.close()
        store.close()
        flush()


def _finished(
    folder: Path,
    listeners: tuple[Listener, ...],
    begin: Callable[[Engine], int],
) -> JobRun:
    with engine_in(folder, listeners) as engine, ending_on_signals():
        run_id = begin(engine)
        try:
            engine.run_until_done(run_id)
        except (KeyboardInterrupt, SystemExit):
            for active in engine.active():
                engine.cancel(active)
            while engine.active():  # until its processes are gone
                engine.wait()
            raise
        return summary(engine.store, run_id)


def summary(store: Store, run_id: int) -> JobRun:
    """How a run stands, from its state."""
    record, run = store.record(run_id), store.load(run_id)
    row = next(row for row in store.runs() if row["run_id"] == run_id)
    if record is None:
        raise KeyError(run_id)
    tasks = []
    for key, unit in run.units.items() if run else ():
        log = Path(record.folder) / f"{key}.{unit.attempt}.log"
        seconds = (unit.ended_at or 0) - unit.started_at if unit.started_at else 0.0
        shown = log if log.exists() else None
        tasks.append(TaskRun(key, unit.state, max(seconds, 0.0), unit.attempt, shown, unit.message))
    ends = {key: unit.ended_at or 0.0 for key, unit in run.units.items()} if run else {}
    return JobRun(
        run_id,
        record.job.key,
        State(row["state"]),
        (row["ended_at"] or 0) - (row["started_at"] or row["ended_at"] or 0),
        Path(record.folder),
        tuple(sorted(tasks, key=lambda task: ends[task.key])),
        row["message"],
    )
