"""Rules of parameters, dynamic values, task values, triggers, notebooks, and what does not run."""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.kit import (
    JOBS,
    NOTEBOOKS,
    UTILITIES,
    Case,
    job_text,
    loaded,
    notebook,
    refused,
)
from workflows.cron import Quartz
from workflows.dynamic import Time, filled
from workflows.facts import unit_facts
from workflows.fires import look
from workflows.model import Trigger
from workflows.records import RunRecord
from workflows.requests import Place, request_for
from workflows.support import check_supported

DYNAMIC, VALUES = JOBS + "dynamic-value-references", JOBS + "task-values"
PARAMETERS, TASKS = JOBS + "job-parameters", JOBS + "task-parameters"
SCHEDULED, CONTINUOUS = JOBS + "scheduled", JOBS + "continuous"
ARRIVAL, UPDATE = JOBS + "file-arrival-triggers", JOBS + "trigger-table-update"
RUN, WIDGETS = NOTEBOOKS + "notebook-workflows", NOTEBOOKS + "widgets"
FORMAT = NOTEBOOKS + "notebook-format"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB = "name: Daily\nparameters: [{name: day, default: d}, {name: made, default: '{{job.id}}'}]"
REFERENCES = {
    "job.name": "Daily",
    "job.run_id": "42",
    "job.repair_count": "0",
    "job.parameters.day": "d",
    "job.start_time.iso_date": "2026-01-02",
    "job.start_time.iso_datetime": "2026-01-02T03:04:05Z",
    "job.start_time.year": "2026",
    "job.start_time.month": "1",
    "job.start_time.day": "2",
    "job.start_time.hour": "3",
    "job.start_time.minute": "4",
    "job.start_time.second": "5",
    "job.start_time.timestamp_ms": str(int(START.timestamp() * 1000)),
    "job.start_time.iso_weekday": "5",
    "job.start_time.is_weekday": "true",
    "job.trigger.type": "manual",
    "task.name": "b",
    "task.execution_count": "0",
    "tasks.a.result_state": "pending",
    "tasks.a.values.n": "3",
    "tasks.a.values.text": "t",
    "tasks.a.values.list": '["x", 1]',
    "tasks.a.output.first_row.c": "7",
    "workspace.url": "local",
    "backfill.iso_datetime": "2026-01-02T03:04:05Z",
}
NOT_HERE = (
    *("dbt_task", "dashboard_task", "alert_task", "power_bi_task", "spark_jar_task"),
    *("clean_rooms_notebook_task", "dbt_platform_task", "gen_ai_compute_task", "ai_runtime_task"),
)


def cases() -> Iterator[Case]:
    """Every case of this file."""
    for name, wanted in REFERENCES.items():

        def check(name: str = name, wanted: str = wanted) -> None:
            assert filled(f"{{{{{name}}}}}", facts()) == wanted

        yield Case("Dynamic values", f"{{{{{name}}}}} is its value", DYNAMIC, check)
    for area, page, rules in (
        ("Dynamic values", DYNAMIC, _references()),
        ("Job parameters", PARAMETERS, _parameters()),
        ("Task parameters", TASKS, _task_parameters()),
        ("Task values", VALUES, _values()),
        ("Schedules", SCHEDULED, _schedules()),
        ("Continuous jobs", CONTINUOUS, _continuous()),
        ("File arrival", ARRIVAL, _arrival()),
        ("Table update", UPDATE, _update()),
        ("Notebooks", RUN, _notebooks()),
        ("Widgets", WIDGETS, _widgets()),
        ("Utilities", UTILITIES, _utilities()),
        ("Notebook formats", FORMAT, _formats()),
    ):
        for rule, made in rules.items():
            yield Case(area, rule, page, made)
    for kind in NOT_HERE:

        def refuse(kind: str = kind) -> None:
            bundle = loaded(job_text(f"task_key: a, {kind}: {{}}"))
            job = bundle.job("j")
            refused(lambda: check_supported(bundle, job, {}, skip=False), kind, "'a'")
            assert check_supported(bundle, job, {}, skip=True) == {"a"}

        rule = f"{kind} is refused by name, or left out when asked"
        yield Case("Not run here", rule, JOBS + "configure-task", refuse, unsupported=True)
    for rule, made in _refusals().items():
        yield Case("Not run here", rule, JOBS + "configure-task", made, unsupported=True)


def facts() -> dict[str, Any]:
    """What is known of a task `b` after `a`, in run 42."""
    tasks = "task_key: a\ntask_key: b, depends_on: [{task_key: a}]"
    job = loaded(job_text(tasks, JOB)).job("j")
    made = RunRecord(
        job,
        "",
        "",
        parameters=job.parameters,
        started=START.timestamp(),
        backfill=START.isoformat(),
    )
    from workflows.control import Flow

    run = Flow(job).new(START.timestamp())
    left = {"a": {"n": 3, "text": "t", "list": ["x", 1], "\0rows": [{"c": 7}]}}
    return unit_facts(made, 42, run, left, "b", job.task("b"))


def spec_of(task: str) -> dict[str, Any]:
    """The request that a task becomes, in the run of `facts`."""
    place = Place("a.1", Path("/r"), Path("/b"), Path("/s"), 42, "a", {}, {})
    return request_for(loaded(job_text(task, JOB)).job("j").tasks[0], facts(), place)


def refuse_reference(text: str, *words: str) -> Callable[[], None]:
    task = f'task_key: a, spark_python_task: {{python_file: a.py, parameters: ["{text}"]}}'
    return lambda: refused(lambda: loaded(job_text(task, JOB)), *words)


def _references() -> dict[str, Callable[[], None]]:
    def literal() -> None:
        assert filled("{{my.value}} {{job.id}", facts()) == "{{my.value}} {{job.id}"

    def ticks() -> None:
        assert filled("{{job.parameters.`day`}}", facts()) == "d"

    def not_set() -> None:
        refused(lambda: filled("{{tasks.a.values.other}}", facts()), "has no value")

    def loop() -> None:
        known = {"input": {"k": [1]}}
        assert filled("{{input}} {{input.k}}", known) == '{"k": [1]} [1]'

    return {
        "what is no reference stays as it is written": literal,
        "an invalid key of a known namespace is an error": refuse_reference(
            "{{job.notebook_url}}", "is no dynamic value"
        ),
        "a name may stand in backticks": ticks,
        "a task value that was not set is an error": not_set,
        "a task that does not run before cannot be named": refuse_reference(
            "{{tasks.z.values.n}}", "names no task that runs before"
        ),
        "{{input}} and {{input.key}} are a loop's": loop,
        "{{input}} outside of a loop is an error": refuse_reference("{{input}}", "outside"),
    }


def _parameters() -> dict[str, Callable[[], None]]:
    def dynamic() -> None:
        made = facts()["job"]
        assert made["parameters"]["made"] == str(made["id"])

    def to_notebook() -> None:
        made = spec_of("task_key: a, notebook_task: {notebook_path: n.py}")
        assert '"day": "d"' in made["argv"][-1]

    def wins() -> None:
        task = "task_key: a, notebook_task: {notebook_path: n.py, base_parameters: {day: x, o: y}}"
        widgets = spec_of(task)["argv"][-1]
        assert '"day": "d"' in widgets
        assert '"o": "y"' in widgets

    def to_python() -> None:
        task = "task_key: a, spark_python_task: {python_file: a.py, parameters: [x]}"
        assert spec_of(task)["argv"][1:] == ["x"]

    def to_wheel() -> None:
        task = "task_key: a, python_wheel_task: {package_name: p, entry_point: e}"
        assert "--day=d" in spec_of(task)["argv"]

    def to_sql() -> None:
        made = spec_of("task_key: a, sql_task: {warehouse_id: x, file: {path: b.sql}}")
        assert '"day": "d"' in made["argv"][-1]

    return {
        "a default may be a dynamic value": dynamic,
        "job parameters are a notebook's widgets": to_notebook,
        "a job parameter wins over a task parameter of the same name": wins,
        "a Python file gets its own parameters only": to_python,
        "a wheel gets job parameters as named arguments": to_wheel,
        "a SQL file gets job parameters": to_sql,
    }


def _task_parameters() -> dict[str, Callable[[], None]]:
    def python() -> None:
        task = (
            'task_key: a, spark_python_task: {python_file: a.py, parameters: ["{{job.run_id}}", b]}'
        )
        assert spec_of(task)["argv"][1:] == ["42", "b"]

    def wheel() -> None:
        task = (
            "task_key: a, python_wheel_task: {package_name: p, entry_point: e, parameters: [x, y]}"
        )
        assert spec_of(task)["argv"] == ["p", "e", "x", "y"]

    def named() -> None:
        task = (
            "task_key: a, python_wheel_task: "
            "{package_name: p, entry_point: e, named_parameters: {k: v}}"
        )
        assert "--k=v" in spec_of(task)["argv"]

    def both() -> None:
        task = (
            "task_key: a, python_wheel_task: {package_name: p, entry_point: e, "
            "parameters: [x], named_parameters: {k: v}}"
        )
        refused(lambda: spec_of(task), "parameters and named_parameters")

    def submit() -> None:
        task = "task_key: a, spark_submit_task: {parameters: [--class, X, a.jar]}"
        made = spec_of(task)["argv"]
        assert made[0].endswith("spark-submit")
        assert made[1:] == ["--class", "X", "a.jar"]

    def folder() -> None:
        made = spec_of("task_key: a")
        assert made["cwd"] == os.path.dirname(made["argv"][0])  # noqa: PTH120

    return {
        "a Python file gets a list of arguments": python,
        "a wheel's entry point gets a list of arguments": wheel,
        "a wheel's named parameters are --key=value": named,
        "a wheel has a list or names, not both": both,
        "spark-submit gets its arguments as they are": submit,
        "the working directory is the file's folder": folder,
    }


def _values() -> dict[str, Callable[[], None]]:
    def outside() -> None:
        assert notebook('dbutils.jobs.taskValues.get("t", "k", debugValue=5)') == (5,)

    def no_debug() -> None:
        refused(lambda: notebook('dbutils.jobs.taskValues.get("t", "k")'), "needs a debugValue")

    def large() -> None:
        cell = 'dbutils.jobs.taskValues.set("k", "x" * 50_000)'
        refused(lambda: notebook(cell), "over 48 KiB")

    def no_json() -> None:
        refused(lambda: notebook('dbutils.jobs.taskValues.set("k", {1, 2})'), "no JSON form")

    return {
        "outside of a job get returns debugValue": outside,
        "outside of a job get needs a debugValue": no_debug,
        "a value is at most 48 KiB of JSON": large,
        "a value must have a JSON form": no_json,
    }


def _schedules() -> dict[str, Callable[[], None]]:
    def next_of(expression: str, zone: str, at: datetime) -> str:
        return f"{Quartz(expression, zone).after(at):%Y-%m-%dT%H:%M}"

    def fields() -> None:
        assert next_of("0 30 9 ? * MON-FRI", "UTC", START) == "2026-01-02T09:30"

    def zone() -> None:
        assert next_of("0 0 9 * * ?", "Asia/Tokyo", START) == "2026-01-03T00:00"

    def summer() -> None:
        before = datetime(2026, 3, 28, 12, tzinfo=UTC)
        assert next_of("0 30 2 * * ?", "Europe/Berlin", before) == "2026-03-29T01:30"

    def winter() -> None:
        before = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
        assert next_of("0 30 2 * * ?", "Europe/Berlin", before) == "2026-10-26T01:30"

    def seconds() -> None:
        trigger = Trigger("schedule", {"quartz_cron_expression": "* * * * * ?"})
        position, fired = None, []
        for second in range(25):
            seen = look(trigger, position, 1000.0 + second, lambda name: None)
            position = seen.position
            fired += [second] if seen.fire else []
        assert fired == [1, 11, 21]

    def late() -> None:
        trigger = Trigger("schedule", {"quartz_cron_expression": "0 0 * * * ?"})
        seen = look(trigger, {"seen": 0.0, "fired": 0.0}, 36_000.0 + 5, lambda name: None)
        assert seen.fire == {"type": "schedule", "time": 36_000.0}

    def periodic() -> None:
        trigger = Trigger("periodic", {"interval": 2, "unit": "HOURS"})
        assert look(trigger, None, 100.0, lambda name: None).next_at == 100.0 + 7200

    def bad() -> None:
        job = "schedule: {quartz_cron_expression: 0 0 12 * *, timezone_id: UTC}"
        refused(lambda: loaded(job_text("task_key: a", job)), "has 5 fields")

    def bad_zone() -> None:
        job = "schedule: {quartz_cron_expression: 0 0 0 * * ?, timezone_id: Mars}"
        refused(lambda: loaded(job_text("task_key: a", job)), "no time zone 'Mars'")

    def paused() -> None:
        job = "schedule: {quartz_cron_expression: 0 0 0 * * ?, timezone_id: UTC, pause_status: %s}"
        for status, wanted in (("PAUSED", True), ("UNPAUSED", False)):
            (trigger,) = loaded(job_text("task_key: a", job % status)).job("j").triggers
            assert trigger.paused is wanted

    def exclusive() -> None:
        job = (
            "schedule: {quartz_cron_expression: 0 0 0 * * ?, timezone_id: UTC}\n"
            "continuous: {pause_status: PAUSED}"
        )
        refused(lambda: loaded(job_text("task_key: a", job)), "not both")

    def time_part() -> None:
        assert Time(START).part("iso_date") == "2026-01-02"

    return {
        "a Quartz expression has seconds first": fields,
        "times are those of the schedule's time zone": zone,
        "a time that the clock skips fires as much later": summer,
        "a time that comes twice fires once": winter,
        "10 seconds at least between two runs": seconds,
        "a missed run is made up for when the service is back": late,
        "a periodic trigger fires after its interval": periodic,
        "an expression that is not Quartz is an error": bad,
        "a time zone that is none is an error": bad_zone,
        "pause_status pauses a schedule": paused,
        "a job has one kind of start": exclusive,
        "{{job.trigger.time.iso_date}} is when it fired": time_part,
    }


def _continuous() -> dict[str, Callable[[], None]]:
    def retries() -> None:
        made = job_text("task_key: a, max_retries: 1", "continuous: {pause_status: UNPAUSED}")
        refused(lambda: loaded(made), "a continuous job tries again by itself")

    def backoff() -> None:
        from workflows.daemon import BACKOFF_SECONDS, _failures_in_a_row

        assert _failures_in_a_row([{"state": s} for s in ("FAILED", "TIMEDOUT", "SUCCESS")]) == 2
        assert BACKOFF_SECONDS[0] < BACKOFF_SECONDS[1]

    return {
        "retries of tasks cannot be set": retries,
        "failures in a row make the pause longer": backoff,
    }


def _looks(kind: str, settings: dict[str, Any], version_of: Callable[[str], int | None]):  # type: ignore[no-untyped-def]
    position: dict[str, Any] | None = None

    def at(now: float) -> bool:
        nonlocal position
        seen = look(Trigger(kind, settings), position, now, version_of)
        position = seen.position
        return seen.fire is not None

    return at


def _arrival() -> dict[str, Callable[[], None]]:
    import tempfile

    def played(waits: dict[str, int], *steps: tuple[float, str | None, bool]) -> Callable[[], None]:
        def check() -> None:
            with tempfile.TemporaryDirectory() as folder:
                Path(folder, "old").touch()
                at = _looks("file_arrival", {"url": folder, **waits}, lambda name: None)
                assert at(0) is False
                for now, name, fires in steps:
                    if name:
                        Path(folder, name).parent.mkdir(exist_ok=True)
                        Path(folder, name).write_text(str(now))
                    assert at(now) is fires, now

        return check

    after = {"wait_after_last_change_seconds": 60}
    between = {"min_time_between_triggers_seconds": 100}

    def short() -> None:
        job = "trigger: {file_arrival: {url: /x, wait_after_last_change_seconds: 5}}"
        refused(lambda: loaded(job_text("task_key: a", job)), "must be at least 60")

    return {
        "a new file starts a run": played({}, (1000, "a", True), (1001, None, False)),
        "a file that is written again does not": played({}, (1000, "old", False)),
        "folders below are watched too": played({}, (1000, "sub/a", True)),
        "wait_after_last_change_seconds waits for the last file": played(
            after, (1000, "a", False), (1030, "b", False), (1080, None, False), (1090, None, True)
        ),
        "min_time_between_triggers_seconds keeps runs apart": played(
            between, (1000, "a", True), (1050, "b", False), (1100, None, True)
        ),
        "waits are at least 60 seconds": short,
    }


def _update() -> dict[str, Callable[[], None]]:
    def played(condition: str, *steps: tuple[dict[str, int], bool]) -> Callable[[], None]:
        def check() -> None:
            versions = {"a": 1, "b": 1}
            settings = {"table_names": ["a", "b"], "condition": condition}
            at = _looks("table_update", settings, lambda name: versions[name])
            assert at(0) is False
            for number, (change, fires) in enumerate(steps, 1):
                versions.update(change)
                assert at(1000.0 * number) is fires

        return check

    def names() -> None:
        job = "trigger: {table_update: {table_names: []}}"
        refused(lambda: loaded(job_text("task_key: a", job)), "has no table_names")

    return {
        "ANY_UPDATED fires when one table was updated": played("ANY_UPDATED", ({"a": 2}, True)),
        "ALL_UPDATED fires when every table was": played(
            "ALL_UPDATED", ({"a": 2}, False), ({"b": 2}, True), ({"a": 3}, False)
        ),
        "without an update nothing fires": played("ANY_UPDATED", ({}, False)),
        "table_names must name a table": names,
    }


def _notebooks() -> dict[str, Callable[[], None]]:
    header = "# Databricks notebook source\n"

    def included() -> None:
        assert notebook("# MAGIC %run ./o", "f()", others={"o.py": header + "f = lambda: 5"}) == (
            5,
        )

    def run_value() -> None:
        others = {"o.py": header + "dbutils.notebook.exit(dbutils.widgets.get('k'))"}
        assert notebook("dbutils.notebook.run('o', 9, {'k': 'v'})", others=others) == ("v\n",)

    def run_apart() -> None:
        others = {"o.py": header + "x = 2"}
        assert notebook("x = 1\ndbutils.notebook.run('o', 9)\nx", others=others) == (1,)

    def run_time() -> None:
        others = {"o.py": header + "import time\ntime.sleep(5)"}
        refused(lambda: notebook("dbutils.notebook.run('o', 0.05)", others=others), "TimeoutError")

    def run_fails() -> None:
        others = {"o.py": header + "1 / 0"}
        refused(lambda: notebook("dbutils.notebook.run('o', 9)", others=others), "o.py:2")

    def left() -> None:
        assert notebook("dbutils.notebook.exit('v')", "1 / 0") == ("exit: v\n",)

    return {
        "%run includes a notebook in the same namespace": included,
        "dbutils.notebook.run gives back what the other exits with": run_value,
        "dbutils.notebook.run has a namespace of its own": run_apart,
        "dbutils.notebook.run ends after its timeout": run_time,
        "dbutils.notebook.run fails with the other": run_fails,
        "dbutils.notebook.exit ends a notebook with success": left,
    }


def _widgets() -> dict[str, Callable[[], None]]:
    def default() -> None:
        assert notebook("dbutils.widgets.text('k', 'd')\ndbutils.widgets.get('k')") == ("d\n",)

    def given() -> None:
        made = notebook("dbutils.widgets.text('k', 'd')\ndbutils.widgets.get('k')", k="v")
        assert made == ("v\n",)

    def all_of() -> None:
        assert notebook("dbutils.widgets.text('k', 'd')\ndbutils.widgets.getAll()", j="w") == (
            {"k": "d", "j": "w"},
        )

    def choice() -> None:
        refused(
            lambda: notebook("dbutils.widgets.dropdown('k', 'x', ['a'])"), "not one of its choices"
        )

    def missing() -> None:
        refused(lambda: notebook("dbutils.widgets.get('k')"), "no widget 'k'")

    def removed() -> None:
        cell = (
            "dbutils.widgets.text('k', 'd')\ndbutils.widgets.removeAll()\ndbutils.widgets.getAll()"
        )
        assert notebook(cell) == ({},)

    return {
        "a widget has its default": default,
        "a parameter wins over the default": given,
        "getAll gives every widget": all_of,
        "a dropdown's default is one of its choices": choice,
        "a widget that is not there is an error": missing,
        "removeAll removes every widget": removed,
    }


def _utilities() -> dict[str, Callable[[], None]]:
    def hidden() -> None:
        os.environ["SECRET_S_K"] = "sesame"  # noqa: S105  it opens nothing
        try:
            assert notebook("print(dbutils.secrets.get('s', 'k'))") == ("[REDACTED]\n",)
        finally:
            del os.environ["SECRET_S_K"]

    def no_secret() -> None:
        refused(lambda: notebook("dbutils.secrets.get('s', 'none')"), "secret s/none is not set")

    def put() -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = f"file:{folder}/a.txt"
            cell = f"dbutils.fs.put('{path}', 'x')\ndbutils.fs.head('{path}')"
            assert notebook(cell) == ("x\n",)
            refused(lambda: notebook(f"dbutils.fs.put('{path}', 'y')"), "pass overwrite=True")

    return {
        "a secret is shown as [REDACTED]": hidden,
        "a secret that is not there is an error": no_secret,
        "fs.put overwrites only when asked": put,
    }


def _formats() -> dict[str, Callable[[], None]]:
    def magic() -> None:
        assert notebook("# MAGIC %md\n# MAGIC # T", "1 + 1") == (2,)

    def last() -> None:
        assert notebook("1\n2") == (2,)

    def silent() -> None:
        assert notebook("x = 1") == ()

    def no_header() -> None:
        from workflows.cells import parse

        refused(lambda: parse("x = 1", name="n.py"), "not a Databricks notebook")

    return {
        "a cell of another language stands in MAGIC comments": magic,
        "the value of a cell's last expression is displayed": last,
        "an assignment displays nothing": silent,
        "a source file begins with its header": no_header,
    }


def _refusals() -> dict[str, Callable[[], None]]:
    def told(task: str, *words: str) -> Callable[[], None]:
        def check() -> None:
            bundle = loaded(job_text(task))
            refused(lambda: check_supported(bundle, bundle.job("j"), {}, skip=False), *words)

        return check

    def magic(name: str) -> Callable[[], None]:
        return lambda: refused(lambda: notebook(f"# MAGIC %{name} x"), f"%{name} is not supported")

    return {
        "a notebook of a workspace": told(
            "task_key: a, notebook_task: {notebook_path: /Shared/x}", "does not run a file of the"
        ),
        "a file from Git": told(
            "task_key: a, spark_python_task: {python_file: a.py, source: GIT}", "does not run a fil"
        ),
        "a saved query": told("task_key: a, sql_task: {query: {query_id: x}}", "sql_task"),
        "a Maven library": told(
            "task_key: a, libraries: [{maven: {coordinates: x}}]", "of kind 'maven'"
        ),
        "%scala": magic("scala"),
        "%r": magic("r"),
        "%sh": magic("sh"),
        "%pip": magic("pip"),
    }
