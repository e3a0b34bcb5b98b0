import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from pipelines.errors import BundleError
from workflows.bundle import Bundle, load_bundle
from workflows.process import TaskState
from workflows.runner import TaskRun, run_job

TRACE = """\
import os, sys, time
with open("trace", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
"""

Make = Callable[..., Bundle]


def task(key: str, *after: str, more: str = "", file: str = "ok.py") -> str:
    depends = ", ".join(f"{{task_key: {name}}}" for name in after)
    return (
        f"        - task_key: {key}\n          depends_on: [{depends}]\n"
        f"          spark_python_task: {{python_file: {file}, parameters: [{key}]}}\n{more}"
    )


def more(*settings: str) -> str:
    return "".join(f"          {setting}\n" for setting in settings)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(*tasks: str, job: str = "") -> Bundle:
        (tmp_path / "ok.py").write_text(TRACE + "print('done', sys.argv[1])\n")
        (tmp_path / "bad.py").write_text(TRACE + "print('start')\nraise ValueError('no luck')\n")
        (tmp_path / "slow.py").write_text(TRACE + "time.sleep(60)\n")
        # Succeeds the third time.
        (tmp_path / "flaky.py").write_text(TRACE + "sys.exit(len(open('trace').readlines()) < 3)\n")
        (tmp_path / "databricks.yml").write_text(
            "bundle: {name: x}\ntargets: {dev: {}}\nresources:\n  jobs:\n    daily:\n"
            + job
            + "      tasks:\n"
            + "".join(tasks)
        )
        return load_bundle(tmp_path)

    return made


def trace(tmp_path: Path) -> list[str]:
    file = tmp_path / "trace"
    return file.read_text().split() if file.exists() else []


def test_tasks_run_in_order_in_the_bundle_folder_each_with_its_log(
    make: Make, tmp_path: Path
) -> None:
    bundle = make(task("c", "b"), task("b", "a"), task("a"))
    run = run_job(bundle, "daily", folder=tmp_path / "runs" / "1")
    assert trace(tmp_path) == ["a", "b", "c"]
    assert run.state is TaskState.SUCCESS
    assert [result.key for result in run.tasks] == ["a", "b", "c"]
    assert run.tasks[0].log == tmp_path / "runs" / "1" / "a.1.log"
    assert run.tasks[0].log.read_text() == "done a\n"
    assert 0 < run.tasks[0].seconds < run.seconds


def test_what_waits_for_a_failed_task_is_not_started(make: Make, tmp_path: Path) -> None:
    bundle = make(
        task("a", file="bad.py"), task("b", "a"), task("c", "b"), task("other"), task("d", "other")
    )
    run = run_job(bundle, "daily")
    results = {result.key: result for result in run.tasks}
    assert {key: result.state.value for key, result in results.items()} == {
        "a": "FAILED",
        "b": "UPSTREAM_FAILED",
        "c": "UPSTREAM_FAILED",
        "other": "SUCCESS",
        "d": "SUCCESS",
    }
    assert results["a"].message == "exit code 1: ValueError: no luck"
    assert results["b"].message == "a did not succeed"
    assert results["b"].log is None
    assert run.state is TaskState.FAILED
    assert sorted(trace(tmp_path)) == ["a", "d", "other"]


def test_failed_task_is_tried_again_until_it_succeeds(make: Make, tmp_path: Path) -> None:
    events: list[TaskRun] = []
    retries = more("max_retries: 5", "min_retry_interval_millis: 400")
    bundle = make(task("a", file="flaky.py", more=retries))
    run = run_job(bundle, "daily", on_event=events.append)
    assert run.tasks[0].state is TaskState.SUCCESS
    assert run.tasks[0].attempts == 3
    assert run.tasks[0].seconds >= 0.8  # two intervals, from start to start
    assert [event.state.value for event in events] == [
        *("RUNNING", "RETRYING", "RUNNING", "RETRYING", "RUNNING", "SUCCESS")
    ]


def test_retries_end(make: Make, tmp_path: Path) -> None:
    run = run_job(make(task("a", file="bad.py", more=more("max_retries: 2"))), "daily")
    assert (run.tasks[0].state, run.tasks[0].attempts) == (TaskState.FAILED, 3)


@pytest.mark.parametrize(("again", "attempts"), [("false", 1), ("true", 2)])
def test_timeout_is_retried_only_when_asked(make: Make, again: str, attempts: int) -> None:
    limits = more("timeout_seconds: 1", "max_retries: 1", f"retry_on_timeout: {again}")
    run = run_job(make(task("a", file="slow.py", more=limits)), "daily")
    assert (run.tasks[0].state, run.tasks[0].attempts) == (TaskState.TIMEDOUT, attempts)
    assert "task's timeout_seconds" in run.tasks[0].message


def test_timeout_of_the_job_ends_what_runs_and_what_follows(make: Make, tmp_path: Path) -> None:
    bundle = make(task("a", file="slow.py"), task("b"), job="      timeout_seconds: 1\n")
    run = run_job(bundle, "daily")
    assert [result.state for result in run.tasks] == [TaskState.TIMEDOUT] * 2
    assert trace(tmp_path) == ["a"]


def test_independent_tasks_run_at_the_same_time_if_allowed(make: Make, tmp_path: Path) -> None:
    meet = "import os, sys, time\nopen(sys.argv[1], 'w')\nend = time.time() + 5\n"
    meet += "while not (os.path.exists('a') and os.path.exists('b')):\n"
    meet += "    time.sleep(0.01)\n    if time.time() > end: sys.exit('alone')\n"
    (tmp_path / "meet.py").write_text(meet)
    bundle = make(task("a", file="meet.py"), task("b", file="meet.py"))
    assert run_job(bundle, "daily", max_parallel=2).state is TaskState.SUCCESS


def test_task_has_its_clusters_environment(make: Make, tmp_path: Path) -> None:
    (tmp_path / "env.py").write_text("import os\nprint(os.environ['GREETING'])\n")
    cluster = "{job_cluster_key: main, new_cluster: {spark_env_vars: {GREETING: hello}}}"
    bundle = make(
        task("a", file="env.py", more=more("job_cluster_key: main")),
        job=f"      job_clusters: [{cluster}]\n",
    )
    run = run_job(bundle, "daily")
    assert run.tasks[0].log is not None
    assert run.tasks[0].log.read_text() == "hello\n"


def test_notebook_task_leaves_its_page(make: Make, tmp_path: Path) -> None:
    (tmp_path / "nb.py").write_text("# Databricks notebook source\nprint(6 * 7)\n")
    bundle = make("        - {task_key: a, notebook_task: {notebook_path: nb.py}}\n")
    run = run_job(bundle, "daily", folder=tmp_path / "run")
    assert run.state is TaskState.SUCCESS
    assert "<pre>42</pre>" in (tmp_path / "run" / "a.1.html").read_text()


@pytest.mark.parametrize(
    ("tasks", "job", "says"),
    [
        ("{task_key: b, condition_task: {op: EQUAL_TO}}", "", ":11: condition_task in task 'b'"),
        ("{task_key: b, sql_task: {}}", "", ":11: sql_task in task 'b'"),
        ("{task_key: b, for_each_task: {inputs: '[1]'}}", "", "for_each_task in task 'b'"),
        ("{task_key: b, run_if: ALL_DONE, {run}}", "", ":11: run_if: ALL_DONE in task 'b'"),
        ("{task_key: b, disabled: true, {run}}", "", "disabled: True in task 'b'"),
        ("{task_key: b, health: {rules: [1]}, {run}}", "", "health in task 'b'"),
        ("{task_key: b, depends_on: [{task_key: a, outcome: 'x'}], {run}}", "", "outcome in dep"),
        ("{task_key: b, notebook_task: {notebook_path: /Shared/x}}", "", "a file of a workspace"),
        ("{task_key: b, notebook_task: {notebook_path: x.ipynb}}", "", "only notebooks in .py"),
        (
            "{task_key: b, notebook_task: {notebook_path: ok.py, base_parameters: {a: b}}}",
            "",
            "base_parameters in notebook_task of task 'b'",
        ),
        ("{task_key: b, spark_python_task: {python_file: ok.py, source: GIT}}", "", "source: GIT"),
        (
            "{task_key: b, spark_python_task: {python_file: ok.py, parameters: ['{{job.id}}']}}",
            "",
            "{{job.id}} in task 'b' is a dynamic value",
        ),
        (
            "{task_key: b, {run}}",
            "parameters: [{name: x, default: y}]",
            "parameters in job 'daily'",
        ),
        ("{task_key: b, {run}}", "email_notifications: {on_failure: [x]}", ":6: email_notificat"),
        ("{task_key: b, {run}}", "max_concurent_runs: 1", "max_concurent_runs in job 'daily'"),
    ],
)
def test_what_is_not_supported_is_refused_before_anything_starts(
    make: Make, tmp_path: Path, tasks: str, job: str, says: str
) -> None:
    (tmp_path / "x.ipynb").touch()
    tasks = tasks.replace("{run}", "spark_python_task: {python_file: ok.py}")
    bundle = make(task("a"), f"        - {tasks}\n", job=f"      {job}\n" if job else "\n")
    with pytest.raises(BundleError) as raised:
        run_job(bundle, "daily")
    assert says in str(raised.value)
    assert trace(tmp_path) == []


def test_what_only_a_workspace_needs_is_no_hindrance(make: Make) -> None:
    extra = more("run_if: ALL_SUCCESS", "disabled: false", "libraries: [{pypi: {package: x}}]")
    job = "      tags: {a: b}\n      queue: {enabled: true}\n      parameters: []\n"
    assert run_job(make(task("a", more=extra), job=job), "daily").state is TaskState.SUCCESS


def test_unknown_job_is_answered_with_the_nearest(make: Make) -> None:
    with pytest.raises(BundleError, match="no job 'dayly'; did you mean 'daily'"):
        run_job(make(task("a")), "dayly")


def test_failing_listener_ends_the_run(make: Make, tmp_path: Path) -> None:
    def fail(event: TaskRun) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        run_job(make(task("a"), task("b")), "daily", on_event=fail)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_no_process(
    make: Make, tmp_path: Path, number: signal.Signals
) -> None:
    # The task starts a child of its own, as a Spark session does.
    (tmp_path / "parent.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "open('children', 'w').write(str(child.pid) + '\\n')\nchild.wait()\n",
    )
    make(task("a", file="parent.py", more=more("max_retries: 3")), task("b", "a"))
    code = (
        "from pathlib import Path\nfrom workflows.bundle import load_bundle\n"
        "from workflows.runner import run_job\n"
        f"run_job(load_bundle(Path({str(tmp_path)!r})), 'daily')\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    children = tmp_path / "children"
    end = time.monotonic() + 10
    while not (children.exists() and children.read_text().endswith("\n")):
        assert time.monotonic() < end
        time.sleep(0.02)
    child = psutil.Process(int(children.read_text()))
    os.kill(runner.pid, number)
    code_seen = runner.wait(10)
    assert code_seen == (143 if number is signal.SIGTERM else -signal.SIGINT)
    _, alive = psutil.wait_procs([child], timeout=2)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    assert trace(tmp_path) == []
