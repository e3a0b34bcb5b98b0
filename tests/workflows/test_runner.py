"""Jobs run for real: small Python files in processes."""

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
from workflows.active import Change
from workflows.bundle import Bundle, load_bundle
from workflows.runner import JobRun, Options, repair_run, run_job
from workflows.states import State

TRACE = """\
import os, sys, time
with open("trace", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
"""

Make = Callable[..., Bundle]


def task(key: str, *after: str, more: str = "", file: str = "ok.py", says: str = "") -> str:
    depends = ", ".join(f"{{task_key: {name}}}" for name in after)
    return (
        f"        - task_key: {key}\n          depends_on: [{depends}]\n"
        f"          spark_python_task: {{python_file: {file}, parameters: ['{says or key}']}}\n"
        f"{more}"
    )


def more(*settings: str) -> str:
    return "".join(f"          {setting}\n" for setting in settings)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(*tasks: str, job: str = "", other: str = "") -> Bundle:
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
            + other
        )
        return load_bundle(tmp_path)

    return made


def trace(tmp_path: Path) -> list[str]:
    file = tmp_path / "trace"
    return file.read_text().split() if file.exists() else []


def states(run: JobRun) -> dict[str, str]:
    return {result.key: result.state.value for result in run.tasks}


def test_tasks_run_in_order_beside_their_file_each_with_its_log(make: Make, tmp_path: Path) -> None:
    bundle = make(task("c", "b"), task("b", "a"), task("a"))
    run = run_job(bundle, "daily", folder=tmp_path / "state")
    assert trace(tmp_path) == ["a", "b", "c"]
    assert run.state is State.SUCCESS
    assert [result.key for result in run.tasks] == ["a", "b", "c"]
    assert run.folder.parent == tmp_path / "state" / "runs"
    assert run.tasks[0].log == run.folder / "a.1.log"
    assert run.tasks[0].log.read_text() == "done a\n"
    assert 0 < run.tasks[0].seconds < run.seconds


def test_what_waits_for_a_failed_task_is_not_started(make: Make, tmp_path: Path) -> None:
    bundle = make(
        task("a", file="bad.py"), task("b", "a"), task("c", "b"), task("other"), task("d", "other")
    )
    run = run_job(bundle, "daily")
    assert states(run) == {
        "a": "FAILED",
        "b": "UPSTREAM_FAILED",
        "c": "UPSTREAM_FAILED",
        "other": "SUCCESS",
        "d": "SUCCESS",
    }
    results = {result.key: result for result in run.tasks}
    assert results["a"].message == "exit code 1: ValueError: no luck"
    assert results["a"].log is not None
    assert "workflows" not in results["a"].log.read_text()  # the traceback begins in the file
    assert results["b"].message == "a: FAILED"
    assert results["b"].log is None
    assert run.state is State.FAILED
    assert sorted(trace(tmp_path)) == ["a", "d", "other"]


def test_failed_task_is_tried_again_until_it_succeeds(make: Make) -> None:
    changes: list[Change] = []
    retries = more("max_retries: 5", "min_retry_interval_millis: 100")
    bundle = make(task("a", file="flaky.py", more=retries))
    run = run_job(bundle, "daily", listeners=(changes.append,))
    assert run.tasks[0].state is State.SUCCESS
    assert run.tasks[0].attempts == 3
    assert run.seconds >= 0.2  # two intervals, from start to start
    assert [change.state.value for change in changes if change.unit] == [
        *("RUNNING", "WAITING_FOR_RETRY", "RUNNING", "WAITING_FOR_RETRY", "RUNNING", "SUCCESS")
    ]


def test_timeout_ends_the_process(make: Make) -> None:
    run = run_job(make(task("a", file="slow.py", more=more("timeout_seconds: 1"))), "daily")
    assert run.tasks[0].state is State.TIMEDOUT
    assert run.tasks[0].message == "ended after 1 s by the task's timeout_seconds"


def test_independent_tasks_run_at_the_same_time(make: Make, tmp_path: Path) -> None:
    meet = "import os, sys, time\nopen(sys.argv[1], 'w')\nend = time.time() + 5\n"
    meet += "while not (os.path.exists('a') and os.path.exists('b')):\n"
    meet += "    time.sleep(0.01)\n    if time.time() > end: sys.exit('alone')\n"
    (tmp_path / "meet.py").write_text(meet)
    bundle = make(task("a", file="meet.py"), task("b", file="meet.py"))
    assert run_job(bundle, "daily").state is State.SUCCESS


def test_task_has_its_clusters_environment_and_secrets(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_SHOP_KEY", "sesame")
    (tmp_path / "env.py").write_text("import os\nprint(os.environ['GREETING'], os.environ['K'])\n")
    variables = "{GREETING: hello, K: '{{secrets/shop/key}}'}"
    cluster = f"{{job_cluster_key: main, new_cluster: {{spark_env_vars: {variables}}}}}"
    bundle = make(
        task("a", file="env.py", more=more("job_cluster_key: main")),
        job=f"      job_clusters: [{cluster}]\n",
    )
    run = run_job(bundle, "daily")
    assert run.tasks[0].log is not None
    assert run.tasks[0].log.read_text() == "hello sesame\n"
    monkeypatch.delenv("SECRET_SHOP_KEY")
    run = run_job(bundle, "daily")
    assert run.tasks[0].message == (
        "secret shop/key is not set; put it into the variable SECRET_SHOP_KEY"
    )


def test_condition_loop_and_values_of_the_run(make: Make, tmp_path: Path) -> None:
    outcome = 'depends_on: [{task_key: check, outcome: "true"}]'
    run = run_job(
        make(
            task("first", says="{{job.parameters.p}}-{{task.execution_count}}"),
            "        - task_key: check\n          depends_on: [{task_key: first}]\n"
            "          condition_task:\n"
            "            {op: EQUAL_TO, left: '{{tasks.first.result_state}}', right: success}\n",
            f"        - task_key: each\n          {outcome}\n          for_each_task:\n"
            '            inputs: \'["x", {"k": 2}]\'\n            task: {task_key: i, '
            "spark_python_task: {python_file: ok.py, parameters: ['{{input}}']}}\n",
            job="      parameters: [{name: p, default: d}]\n",
        ),
        "daily",
        parameters={"p": "given"},
    )
    assert run.state is State.SUCCESS
    assert (tmp_path / "trace").read_text().split("\n")[:-1] == ["given-1", "x", '{"k": 2}']


def test_job_runs_another_job_and_fails_with_it(make: Make, tmp_path: Path) -> None:
    kid = (
        "    kid:\n      parameters: [{name: p, default: d}, {name: q, default: e}]\n"
        "      tasks:\n        - {task_key: t, spark_python_task: {python_file: %s, "
        "parameters: ['{{job.parameters.p}}{{job.parameters.q}}']}}\n"
    )
    call = (
        "        - {task_key: call, run_job_task: {job_id: '${resources.jobs.kid.id}', "
        "job_parameters: {p: given}}}\n"
    )
    assert run_job(make(call, other=kid % "ok.py"), "daily").state is State.SUCCESS
    assert trace(tmp_path) == ["givene"]
    run = run_job(make(call, other=kid % "bad.py"), "daily")
    assert states(run) == {"call": "FAILED"}
    assert run.tasks[0].message.startswith("run 2 ended FAILED")


def test_file_finds_dbutils_where_a_runtime_has_it(make: Make, tmp_path: Path) -> None:
    (tmp_path / "set.py").write_text(
        "from pyspark.dbutils import DBUtils\nfrom databricks.sdk.runtime import dbutils\n"
        "DBUtils(None).jobs.taskValues.set(key='a', value=1)\n"
        "dbutils.jobs.taskValues.set(key='b', value=[2])\n"
    )
    says = "{{tasks.set.values.a}}{{tasks.set.values.b}}"
    bundle = make(task("set", file="set.py"), task("get", "set", says=says))
    assert run_job(bundle, "daily").state is State.SUCCESS
    assert trace(tmp_path) == ["1[2]"]


def test_repair_runs_what_failed_again_with_the_parameters_kept(make: Make, tmp_path: Path) -> None:
    bundle = make(
        task("a"),
        task("b", "a", file="flaky.py", says="b{{job.parameters.p}}{{job.repair_count}}"),
        task("c", "b"),
        job="      parameters: [{name: p, default: d}]\n",
    )
    run = run_job(bundle, "daily", folder=tmp_path / "s", parameters={"p": "x"})
    assert run.state is State.FAILED
    (tmp_path / "databricks.yml").unlink()  # a run keeps its own definition
    repaired = repair_run(tmp_path / "s", run.run_id)
    assert (repaired.run_id, repaired.state) == (run.run_id, State.SUCCESS)
    assert trace(tmp_path) == ["a", "bx0", "bx1", "c"]
    with pytest.raises(BundleError, match="succeeded; there is nothing to repair"):
        repair_run(tmp_path / "s", run.run_id)
    with pytest.raises(BundleError, match="no run 99"):
        repair_run(tmp_path / "s", 99)


@pytest.mark.parametrize(
    ("tasks", "job", "says"),
    [
        ("{task_key: b, dashboard_task: {}}", "", "task 'b' of job 'daily': dashboard_task is not"),
        ("{task_key: b, sql_task: {query: {query_id: x}}}", "", "does not run a file of the bun"),
        ("{task_key: b, notebook_task: {notebook_path: /Shared/x}}", "", "does not run a file of"),
        ("{task_key: b, spark_python_task: {python_file: ok.py, source: GIT}}", "", "not run a f"),
        ("{task_key: b, run_job_task: {job_id: 5}}", "", "job 5 is not in the bundle"),
        ("{task_key: b, run_job_task: {job_id: '${resources.jobs.daily.id}'}}", "", "each other"),
        ("{task_key: b, pipeline_task: {pipeline_id: x}}", "", "has nothing here that updates it"),
        (
            "{task_key: b, {run}}",
            "health: {rules: [{metric: STREAMING_BACKLOG_SECONDS, op: GREATER_THAN, value: 1}]}",
            "the health metric STREAMING_BACKLOG_SECONDS is not watched here",
        ),
        ("{task_key: b, {run}}", "git_source: {git_url: x, git_provider: gitHub}", "not run a fil"),
        ("{task_key: b, {run}, libraries: [{maven: {coordinates: x}}]}", "", "of kind 'maven'"),
    ],
)
def test_what_is_not_supported_is_refused_before_anything_starts(
    make: Make, tmp_path: Path, tasks: str, job: str, says: str
) -> None:
    tasks = tasks.replace("{run}", "spark_python_task: {python_file: ok.py}")
    bundle = make(task("a"), f"        - {tasks}\n", job=f"      {job}\n" if job else "\n")
    with pytest.raises(BundleError) as raised:
        run_job(bundle, "daily")
    assert says in str(raised.value)
    assert trace(tmp_path) == []


def test_what_is_not_supported_is_left_out_when_asked(make: Make, tmp_path: Path) -> None:
    bundle = make(
        "        - {task_key: b, dashboard_task: {}}\n", task("c", "b"), task("d", file="ok.py")
    )
    run = run_job(bundle, "daily", options=Options(skip_unsupported=True))
    assert states(run) == {"b": "SKIPPED", "c": "SUCCESS", "d": "SUCCESS"}


def test_unknown_job_and_parameter_are_answered_with_the_nearest(make: Make) -> None:
    bundle = make(task("a"), job="      parameters: [{name: day, default: d}]\n")
    with pytest.raises(BundleError, match="no job 'dayly'; did you mean 'daily'"):
        run_job(bundle, "dayly")
    with pytest.raises(BundleError, match="no parameter 'dax'; did you mean 'day'"):
        run_job(bundle, "daily", parameters={"dax": "1"})


def test_failing_listener_ends_the_run(make: Make) -> None:
    def fail(change: Change) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        run_job(make(task("a"), task("b")), "daily", listeners=(fail,))


RUN = (
    "import sys\nfrom pathlib import Path\nfrom workflows.bundle import load_bundle\n"
    "from workflows.runner import run_job\n"
    "run_job(load_bundle(Path(sys.argv[1])), 'daily', folder=Path(sys.argv[1]) / 's')\n"
)
# The task starts a child of its own, as a Spark session does.
PARENT = (
    "import subprocess, sys, os\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "open('new', 'w').write(str(child.pid))\nos.rename('new', 'child')\nchild.wait()\n"
)


def started(tmp_path: Path) -> tuple["subprocess.Popen[bytes]", psutil.Process]:
    """A runner in a process of its own, and the child of its task."""
    runner = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while not (tmp_path / "child").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    return runner, psutil.Process(int((tmp_path / "child").read_text()))


def gone(process: psutil.Process) -> bool:
    _, alive = psutil.wait_procs([process], timeout=5)
    return not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_ended_runner_leaves_no_process(make: Make, tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    make(task("a", file="parent.py", more=more("max_retries: 3")), task("b", "a"))
    runner, child = started(tmp_path)
    os.kill(runner.pid, number)
    code = {signal.SIGTERM: 143}.get(number, -number)
    assert runner.wait(10) == code
    assert gone(child)
    assert trace(tmp_path) == []


def test_killed_run_goes_on_where_it_was(make: Make, tmp_path: Path) -> None:
    once = "import os\nif not os.path.exists('child'):\n"
    (tmp_path / "parent.py").write_text(once + "".join(f"    {x}\n" for x in PARENT.split("\n")))
    make(task("a"), task("b", "a", file="parent.py"), task("c", "b"))
    runner, child = started(tmp_path)
    runner.kill()
    runner.wait()
    assert gone(child)
    run = repair_run(tmp_path / "s", 1)
    assert run.state is State.SUCCESS
    assert trace(tmp_path) == ["a", "c"]  # a ran once
    assert {result.key: result.attempts for result in run.tasks} == {"a": 1, "b": 2, "c": 1}
