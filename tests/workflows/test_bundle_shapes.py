"""Bundles in the shapes that others publish, run as they are: no process or notebook is faked."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import BundleError
from workflows.bundle import load_bundle
from workflows.daemon import Daemon
from workflows.runner import JobRun, Options, engine_in, record_of, run_job, summary

HEADER = "# Databricks notebook source\n"
CELL = "\n# COMMAND ----------\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(**files: str) -> Path:
        """Files by their paths, `__` for `/` and `_dot_` for `.`."""
        for name, text in files.items():
            file = tmp_path / name.replace("__", "/").replace("_dot_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return tmp_path

    return written


def ran(folder: Path, job: str, **options: object) -> tuple[JobRun, dict[str, str]]:
    run = run_job(load_bundle(folder), job, folder=folder / "state", **options)  # type: ignore[arg-type]
    return run, {task.key: str(task.state) for task in run.tasks}


def text_of(run: JobRun, key: str) -> str:
    file = next(task.log for task in run.tasks if task.key == key)
    assert file is not None
    return file.read_text()


PYTHON_BUNDLE = "bundle: {name: x}\npython: {resources: ['resources:load_resources']}\n"
LOADER = (
    "from databricks.bundles.core import load_resources_from_current_package_module\n"
    "def load_resources(bundle):\n    return load_resources_from_current_package_module()\n"
)


def test_conditional_execution_declared_in_python(write: Write) -> None:
    folder = write(
        databricks_dot_yml=PYTHON_BUNDLE,
        resources____init___dot_py=LOADER,
        resources__quality_dot_py="""\
from databricks.bundles.jobs import ConditionTask, ConditionTaskOp, Job, NotebookTask, Task
from databricks.bundles.jobs import TaskDependency

def notebook(key, *after):
    return Task(task_key=key, depends_on=list(after),
                notebook_task=NotebookTask(notebook_path=f"src/{key}.py"))

gate = Task(
    task_key="gate", depends_on=[TaskDependency(task_key="count")],
    condition_task=ConditionTask(left="{{tasks.count.values.bad}}",
                                 op=ConditionTaskOp.GREATER_THAN, right="100"))
quality = Job(name="quality", tasks=[
    notebook("count"), gate, notebook("mend", TaskDependency(task_key="gate", outcome="true")),
    notebook("load", TaskDependency(task_key="gate", outcome="false"))])
""",
        src__count_dot_py=f"{HEADER}dbutils.jobs.taskValues.set(key='bad', value=120)\n",
        src__mend_dot_py=f"{HEADER}print('mended')\n",
        src__load_dot_py=f"{HEADER}print('loaded')\n",
    )
    folder.joinpath("resources", "__init__.py").write_text(LOADER)
    run, states = ran(folder, "quality")
    assert states == {**dict.fromkeys(("count", "gate", "mend"), "SUCCESS"), "load": "EXCLUDED"}
    assert text_of(run, "mend") == "mended\n"


def test_jobs_generated_by_a_loop_in_python(write: Write) -> None:
    folder = write(
        databricks_dot_yml=PYTHON_BUNDLE,
        a_dot_py="import sys\nprint(sys.argv[1])\n",
        resources__made_dot_py="",
    )
    folder.joinpath("resources", "__init__.py").write_text(
        "from databricks.bundles.core import Resources\n"
        "def load_resources(bundle):\n    made = Resources()\n"
        "    for name in ('orders', 'items'):\n"
        "        made.add_job(name, {'name': name, 'tasks': [{'task_key': 't', "
        "'spark_python_task': {'python_file': 'a.py', 'parameters': [name]}}]})\n"
        "    return made\n"
    )
    assert set(load_bundle(folder).jobs) == {"orders", "items"}
    run, _ = ran(folder, "items")
    assert text_of(run, "t") == "items\n"
    folder.joinpath("resources", "__init__.py").write_text("raise ValueError('broken')\n")
    with pytest.raises(BundleError, match=r"yml:2:1: load_resources failed: .*broken"):
        load_bundle(folder)


def test_loop_over_what_a_task_found(write: Write) -> None:
    folder = write(
        databricks_dot_yml="""\
bundle: {name: x}
include: ["resources/*.job.yml"]
""",
        **{
            "resources__each.job_dot_yml": """\
resources:
  jobs:
    each:
      tasks:
        - task_key: find
          notebook_task: {notebook_path: ../src/find}
        - task_key: handle
          depends_on: [{task_key: find}]
          for_each_task:
            inputs: "{{tasks.find.values.items}}"
            concurrency: 10
            task:
              task_key: handle_one
              notebook_task: {notebook_path: ../src/one.py, base_parameters: {item: "{{input.id}}"}}
"""
        },
        src__find_dot_py=HEADER
        + "dbutils.jobs.taskValues.set('items', [{'id': n} for n in (7, 8, 9)])\n",
        src__one_dot_py=f"{HEADER}dbutils.widgets.text('item', '')\n"
        f"{CELL}print('item', dbutils.widgets.get('item'))\n",
    )
    run, states = ran(folder, "each")
    assert set(states.values()) == {"SUCCESS"}
    assert [text_of(run, f"handle[{n}]") for n in range(3)] == [f"item {n}\n" for n in (7, 8, 9)]


def test_task_values_from_one_notebook_to_another(write: Write) -> None:
    folder = write(
        databricks_dot_yml="""\
bundle: {name: x}
resources:
  jobs:
    handover:
      tasks:
        - {task_key: producer, notebook_task: {notebook_path: producer.ipynb}}
        - task_key: consumer
          depends_on: [{task_key: producer}]
          notebook_task: {notebook_path: consumer.py}
""",
        producer_dot_ipynb=json.dumps(
            {
                "cells": [
                    {"cell_type": "markdown", "source": ["# Producer"]},
                    {
                        "cell_type": "code",
                        "source": ["dbutils.jobs.taskValues.set('who', {'name': 'ann'})"],
                    },
                ]
            }
        ),
        consumer_dot_py=HEADER
        + "who = dbutils.jobs.taskValues.get(taskKey='producer', key='who')\nprint(who['name'])\n",
    )
    run, _ = ran(folder, "handover")
    assert text_of(run, "consumer") == "ann\n"
    assert "<h1>Producer</h1>" in (run.folder / "producer.1.html").read_text()


def test_jobs_that_run_jobs(write: Write) -> None:
    folder = write(
        databricks_dot_yml="""\
bundle: {name: x}
resources:
  jobs:
    main:
      tasks:
        - task_key: one
          run_job_task: {job_id: "${resources.jobs.leaf.id}", job_parameters: {input: first}}
        - task_key: two
          depends_on: [{task_key: one}]
          run_job_task: {job_id: "${resources.jobs.leaf.id}", job_parameters: {input: second}}
    leaf:
      parameters: [{name: input, default: none}]
      tasks:
        - task_key: show
          notebook_task: {notebook_path: show.py, base_parameters: {x: "{{job.parameters.input}}"}}
""",
        show_dot_py=f"{HEADER}print(dbutils.widgets.get('x'), dbutils.widgets.get('input'))\n",
    )
    run, states = ran(folder, "main")
    assert states == {"one": "SUCCESS", "two": "SUCCESS"}
    assert (run.folder / "one.1" / "show.1.log").read_text() == "first first\n"
    assert (run.folder / "two.1" / "show.1.log").read_text() == "second second\n"


def test_job_that_waits_for_files(write: Write, tmp_path: Path) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    folder = write(
        databricks_dot_yml=f"""\
bundle: {{name: x}}
resources:
  jobs:
    arrivals:
      trigger:
        file_arrival: {{url: "{landing}", min_time_between_triggers_seconds: 60}}
      tasks:
        - task_key: take
          spark_python_task:
            {{python_file: a.py, parameters: ["{{{{job.trigger.file_arrival.location}}}}"]}}
""",
        a_dot_py="import os, sys\nprint(os.listdir(sys.argv[1]))\n",
    )
    with engine_in(folder / "state") as engine:
        daemon = Daemon(load_bundle(folder), engine, folder / "state", Options(), lambda name: None)
        daemon.poll = 0.01
        daemon.turn()
        (landing / "new.csv").touch()
        daemon.watches[0].look_at = 0
        daemon.turn()
        assert engine.store.runs()
        while engine.active():
            engine.wait(0.1)
        run = summary(engine.store, 1)
    assert text_of(run, "take") == "['new.csv']\n"


def test_backfill_of_days(write: Write) -> None:
    folder = write(
        databricks_dot_yml="""\
bundle: {name: x}
resources:
  jobs:
    daily:
      parameters: [{name: run_date, default: "{{backfill.iso_date}}"}]
      tasks:
        - task_key: load
          spark_python_task: {python_file: a.py, parameters: ["{{job.parameters.run_date}}"]}
""",
        a_dot_py="import sys\nprint(sys.argv[1])\n",
    )
    bundle = load_bundle(folder)
    with engine_in(folder / "state") as engine:
        for day in ("2026-01-05", "2026-01-06"):
            moment = f"{day}T00:00:00+00:00"
            record = record_of(bundle, "daily", folder / "state", backfill=moment)
            engine.run_until_done(engine.submit(record))
        shown = [text_of(summary(engine.store, n), "load") for n in (1, 2)]
    assert shown == ["2026-01-05\n", "2026-01-06\n"]


def test_dashboards_and_other_resources_beside_jobs(write: Write) -> None:
    folder = write(
        databricks_dot_yml="""\
bundle: {name: x}
variables: {warehouse_id: {default: none}}
resources:
  dashboards:
    sales:
      display_name: Sales
      file_path: sales.lvdash.json
      warehouse_id: ${var.warehouse_id}
  schemas: {gold: {catalog_name: main, name: gold}}
  jobs:
    nightly:
      tasks:
        - {task_key: load, spark_python_task: {python_file: a.py}}
        - task_key: show
          depends_on: [{task_key: load}]
          dashboard_task:
            {dashboard_id: "${resources.dashboards.sales.id}", warehouse_id: "${var.warehouse_id}"}
        - task_key: tell
          depends_on: [{task_key: show}]
          spark_python_task: {python_file: a.py, parameters: ["${resources.schemas.gold.name}"]}
""",
        a_dot_py="import sys\nprint(sys.argv[1:])\n",
    )
    with pytest.raises(BundleError, match="task 'show' of job 'nightly': dashboard_task is not"):
        ran(folder, "nightly")
    run, states = ran(folder, "nightly", options=Options(skip_unsupported=True))
    assert states == {"load": "SUCCESS", "show": "SKIPPED", "tell": "SUCCESS"}
    assert text_of(run, "tell") == "['gold']\n"


def test_wheel_that_the_bundle_builds(write: Write) -> None:
    folder = write(
        databricks_dot_yml="""\
bundle: {name: x}
artifacts: {tool: {type: whl, path: .}}
resources:
  jobs:
    tooled:
      tasks:
        - task_key: main
          libraries: [{whl: dist/*.whl}]
          python_wheel_task:
            {package_name: shop_tool, entry_point: main, named_parameters: {day: "{{job.run_id}}"}}
""",
        pyproject_dot_toml="""\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "shop_tool"
version = "1.0"
[project.scripts]
main = "shop_tool.cli:main"
[tool.setuptools]
packages = ["shop_tool"]
""",
        shop_tool__cli_dot_py="import sys\ndef main():\n    print('tool', sys.argv[1:])\n",
    )
    (folder / "shop_tool" / "__init__.py").touch()
    run, _ = ran(folder, "tooled")
    assert text_of(run, "main") == "tool ['--day=1']\n"
    assert list((folder / "dist").glob("*.whl"))


def test_job_that_reads_a_secret(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(
        databricks_dot_yml="""\
bundle: {name: x}
resources:
  secret_scopes: {mine: {name: vault}}
  jobs:
    reader:
      tasks:
        - task_key: read
          notebook_task:
            notebook_path: read.py
            base_parameters: {scope: "${resources.secret_scopes.mine.name}"}
""",
        read_dot_py=HEADER + "key = dbutils.secrets.get(dbutils.widgets.get('scope'), 'api-key')\n"
        "print(len(key), key)\n",
    )
    monkeypatch.setenv("SECRET_VAULT_API_KEY", "sesame")
    run, _ = ran(folder, "reader")
    assert text_of(run, "read") == "6 [REDACTED]\n"


def test_targets_that_differ_and_configuration_shared_by_bundles(write: Write) -> None:
    folder = write(
        shared__vars_dot_yml="variables: {greeting: {default: hello}}\n",
        one__databricks_dot_yml="""\
bundle: {name: one}
sync: {paths: [., ../shared]}
include: [../shared/vars.yml]
targets:
  dev: {default: true, mode: development}
  prod:
    variables: {greeting: good day}
    resources:
      jobs: {greet: {tasks: [{task_key: say, max_retries: 1}]}}
resources:
  jobs:
    greet:
      tasks:
        - task_key: say
          spark_python_task:
            {python_file: ../shared/say.py, parameters: ["${var.greeting} from ${bundle.target}"]}
""",
        shared__say_dot_py="import sys\nprint(sys.argv[1])\n",
    )
    for target, wanted in (("dev", "hello from dev\n"), ("prod", "good day from prod\n")):
        bundle = load_bundle(folder / "one", target=target)
        run = run_job(bundle, "greet", folder=folder / "state")
        assert text_of(run, "say") == wanted
    assert bundle.job("greet").tasks[0].max_retries == 1
