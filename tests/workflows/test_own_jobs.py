"""The project's own jobs: what starts them, and that every command they run is one of ours."""

from pathlib import Path

import pytest
import typer

from pipelines.app import app
from pipelines.cli import main
from pipelines.registry import NAMES
from pipelines.settings import load_settings
from pipelines.workflow_commands import bundle_for, options_for
from workflows.bundle import load_bundle
from workflows.model import Task
from workflows.support import check_supported

REPOSITORY = Path(__file__).resolve().parents[2]


def commands(task: Task) -> list[str]:
    tasks = [task.loop] if task.loop else [task]
    return [str(t.spec["parameters"][0]) for t in tasks if t.kind == "spark_python_task"]


def test_each_job_starts_as_it_should() -> None:
    bundle = load_bundle(REPOSITORY, target="prod")
    starts = {job.key: [trigger.kind for trigger in job.triggers] for job in bundle.jobs.values()}
    assert starts == {
        "ingest": ["continuous"],
        "refresh": ["table_update"],
        "nightly": ["schedule"],
        "shop": ["periodic"],
        "price": ["schedule"],
        "backfill": [],
        "tour": [],
    }
    for job in bundle.jobs.values():
        assert not any(trigger.paused for trigger in job.triggers)
    for job in load_bundle(REPOSITORY, target="dev").jobs.values():
        assert all(trigger.paused for trigger in job.triggers)


def test_every_job_runs_here_and_every_command_is_ours() -> None:
    assert main
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    settings = load_settings()
    bundle = bundle_for(settings, REPOSITORY / "databricks.yml", None, None)
    for job in bundle.jobs.values():
        assert check_supported(bundle, job, {}, skip=False) == frozenset()
        assert {name for task in job.tasks for name in commands(task)} <= known
    assert options_for(settings, False, None).pipelines["gold"][:2] == ["pipelines", "refresh"]


def test_nightly_promotes_what_is_better_and_recommends_in_any_case() -> None:
    job = load_bundle(REPOSITORY, target="prod").job("nightly")
    assert [task.key for task in job.tasks] == [
        *("maintain", "train", "evaluate", "is_better", "promote", "recommend", "publish")
    ]
    assert job.task("promote").depends_on[0].outcome == "true"
    assert job.task("recommend").run_if == "NONE_FAILED"


@pytest.mark.parametrize("key", ["refresh"])
def test_tables_that_start_a_job_are_the_lakes(key: str) -> None:
    (trigger,) = load_bundle(REPOSITORY, target="prod").job(key).triggers
    for name in trigger.settings["table_names"]:
        assert name.split(".", 1)[1] in NAMES
