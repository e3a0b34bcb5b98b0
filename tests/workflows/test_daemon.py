"""The daemon with real runs and a clock that the test sets."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipelines.errors import BundleError
from workflows.bundle import load_bundle
from workflows.daemon import Daemon
from workflows.delta_version import delta_version
from workflows.engine import Engine
from workflows.runner import Options, engine_in
from workflows.states import State

TOP = """\
bundle: {name: x}
resources:
  jobs:
    daily:
%s
      tasks: [{task_key: t, spark_python_task: {python_file: ok.py}}]
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with engine_in(tmp_path / "state") as opened:
        yield opened


Make = Callable[..., Daemon]


@pytest.fixture
def daemon(tmp_path: Path, engine: Engine) -> Make:
    def made(settings: str, clock: Clock, code: str = "") -> Daemon:
        (tmp_path / "ok.py").write_text(code)
        text = "\n".join(f"      {line}" for line in settings.split("\n"))
        (tmp_path / "databricks.yml").write_text(TOP % text)
        return Daemon(
            load_bundle(tmp_path),
            engine,
            tmp_path / "state",
            Options(),
            lambda name: delta_version(str(tmp_path / name)),
            poll=0.01,
            clock=clock,
        )

    return made


def settled(daemon: Daemon) -> list[str]:
    """The states of all runs, the latest first, once nothing goes on."""
    daemon.turn()
    end = time.monotonic() + 20
    while daemon.engine.active():
        daemon.engine.wait(0.05)
        assert time.monotonic() < end
    return [str(run["state"]) for run in daemon.engine.store.runs()]


def test_schedule_starts_runs_and_a_paused_one_does_not(daemon: Make) -> None:
    clock = Clock()
    schedule = "schedule: {quartz_cron_expression: 0 0 * * * ?, timezone_id: UTC}"
    made = daemon(schedule, clock)
    assert settled(made) == []
    clock.now += 3600
    assert settled(made) == ["SUCCESS"]
    record = made.engine.store.record(1)
    assert record is not None
    assert record.trigger["type"] == "schedule"
    name = made.watches[0].name
    made.engine.store.set_paused(name, True)
    clock.now += 7200
    assert settled(made) == ["SUCCESS"]
    made.engine.store.set_paused(name, False)
    clock.now += 1
    assert settled(made) == ["SUCCESS"]  # what passed by in the pause is not made up for
    clock.now += 3600
    assert settled(made) == ["SUCCESS"] * 2


def test_table_update_is_seen_in_the_delta_log(daemon: Make, tmp_path: Path) -> None:
    clock = Clock()
    made = daemon("trigger: {table_update: {table_names: [silver/a]}}", clock)
    assert settled(made) == []
    log = tmp_path / "silver" / "a" / "_delta_log"
    log.mkdir(parents=True)
    for version in range(3):
        (log / f"{version:020}.json").touch()
    assert delta_version(str(tmp_path / "silver" / "a")) == 2
    clock.now += 60
    assert settled(made) == ["SUCCESS"]


def test_continuous_job_begins_again_and_after_failures_later_and_later(daemon: Make) -> None:
    clock = Clock()
    clock.now = time.time()
    made = daemon("continuous: {pause_status: UNPAUSED}", clock, "import sys; sys.exit(1)")
    assert settled(made) == ["FAILED"]
    assert settled(made) == ["FAILED"]
    clock.now += 15
    assert settled(made) == ["FAILED"] * 2
    clock.now += 3
    assert settled(made) == ["FAILED"] * 2
    clock.now += 10
    assert settled(made) == ["FAILED"] * 3


def test_run_that_was_cut_off_goes_on(daemon: Make) -> None:
    made = daemon("description: x", Clock())
    from workflows.runner import record_of

    store = made.engine.store
    record = record_of(made.bundle, "daily", made.folder, options=Options())
    run_id = store.add(record, State.RUNNING)  # as a runner leaves it that is killed at once
    assert made.recover() == [run_id]
    assert settled(made) == ["SUCCESS"]


def test_job_that_cannot_run_is_named_when_the_daemon_starts(daemon: Make) -> None:
    made = "schedule: {quartz_cron_expression: 0 0 * * * ?, timezone_id: UTC}\nparameters: []"
    daemon(made, Clock())
    bad = made + "\nrun_as: {user_name: x}"
    text = bad.replace("parameters: []", "description: y")
    with pytest.raises(BundleError, match="maven"):
        broken = daemon(text, Clock())
        file = broken.bundle.root / "databricks.yml"
        file.write_text(
            file.read_text().replace(
                "{task_key: t,", "{task_key: t, libraries: [{maven: {coordinates: x}}],"
            )
        )
        Daemon(load_bundle(file), broken.engine, broken.folder, Options(), lambda name: None)
