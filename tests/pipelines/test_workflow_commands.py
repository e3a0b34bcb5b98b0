"""The commands of the workflows, on a bundle of someone else."""

import json
from pathlib import Path

import pytest
from here import lakehouse

TOP = """\
bundle: {name: other}
variables: {greeting: {default: hello}}
resources:
  jobs:
    greet:
      parameters: [{name: who, default: world}]
      schedule: {quartz_cron_expression: 0 0 3 * * ?, timezone_id: UTC}
      tasks:
        - task_key: say
          spark_python_task:
            {python_file: say.py, parameters: ["${var.greeting} {{job.parameters.who}}"]}
    show:
      tasks: [{task_key: d, dashboard_task: {dashboard_id: x}}]
"""


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    """Options that name a bundle and a lake."""
    (tmp_path / "databricks.yml").write_text(TOP)
    (tmp_path / "say.py").write_text(
        "import os, sys\nprint(sys.argv[1])\nsys.exit(os.path.exists('broken'))\n"
    )
    return ["--bundle", str(tmp_path), "--root", str(tmp_path / "lake")]


def test_job_is_run_listed_shown_and_repaired(
    place: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    (tmp_path / "broken").touch()
    run = ("run", "greet", *place, "--var", "greeting=hi", "--param", "who=ann", "--json")
    assert lakehouse(monkeypatch, *run) == 1
    said = capfd.readouterr()
    (task,) = json.loads(said.out)["tasks"]
    assert Path(task["log"]).read_text() == "hi ann\n"
    assert "run 1 of greet ended FAILED" in said.err
    lake = place[2:]
    assert lakehouse(monkeypatch, "runs", *lake, "--json") == 0
    assert [row["state"] for row in json.loads(capfd.readouterr().out)] == ["FAILED"]
    (tmp_path / "broken").unlink()
    assert lakehouse(monkeypatch, "repair", "1", *lake, "--json") == 0
    (task,) = json.loads(capfd.readouterr().out)["tasks"]
    assert (task["attempts"], Path(task["log"]).read_text()) == (2, "hi ann\n")
    assert lakehouse(monkeypatch, "runs", "1", *lake) == 0
    assert "run 1 of greet: SUCCESS" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["run", "gret"], "no job 'gret'; did you mean 'greet'"),
        (["run", "show"], "dashboard_task is not supported when running here"),
        (["run", "greet", "--var", "x=1"], "no variable 'x'"),
        (["run", "greet", "--param", "who"], "--param who: must be NAME=VALUE"),
        (["run", "greet", "--target", "prod"], "no target 'prod'"),
        (["pause", "show"], "job 'show' has no trigger"),
        (["schedule", "--var", "x=1"], "no variable 'x'"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_code_2(
    place: list[str], monkeypatch: pytest.MonkeyPatch, capfd, command: list[str], says: str
) -> None:
    assert lakehouse(monkeypatch, *command, *place) == 2
    said = capfd.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["repair", "7"], "no run 7"),
        (["runs", "7"], "no run 7"),
        (["cancel", "7"], "run 7 does not go on"),
    ],
)
def test_run_that_is_not_there_is_named(
    place: list[str], monkeypatch: pytest.MonkeyPatch, capfd, command: list[str], says: str
) -> None:
    assert lakehouse(monkeypatch, *command, *place[2:]) == 2
    assert says in capfd.readouterr().err


def test_left_out_task_makes_no_failure(
    place: list[str], monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    assert lakehouse(monkeypatch, "run", "show", *place, "--skip-unsupported", "--json") == 0
    assert json.loads(capfd.readouterr().out)["tasks"][0]["state"] == "SKIPPED"


def test_triggers_are_listed_and_paused(
    place: list[str], monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    assert lakehouse(monkeypatch, "schedule", "--list", *place, "--json") == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert (row["job"], row["trigger"], row["paused"]) == ("greet", "schedule", False)
    assert row["next"].endswith("03:00:00")
    assert lakehouse(monkeypatch, "pause", "greet", *place, "--json") == 0
    assert json.loads(capfd.readouterr().out) == {"job": "greet", "paused": True}
    assert lakehouse(monkeypatch, "pause", "greet", "--off", *place) == 0
    assert "greet goes on" in capfd.readouterr().out
