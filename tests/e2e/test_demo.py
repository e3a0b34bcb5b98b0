"""The main job as a user runs it: stopped half-way, run again, repeated, checked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from here import lakehouse
from pyspark.sql import SparkSession

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 3600
END_S = 60
QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"  # the program sets its GC
ENVIRONMENT = {**os.environ, "JAVA_TOOL_OPTIONS": QUICK_JAVA}


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """A command in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines", *arguments, "--root", str(root), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def result_of(root: Path, *arguments: str) -> dict[str, Any]:
    """What a command that succeeds prints: one JSON object on one line, nothing else."""
    with start(root, *arguments) as process:
        said, progress = process.communicate(timeout=500)
    assert process.returncode == 0, progress[-4000:]
    assert said.count("\n") == 1
    assert "Traceback" not in progress
    found: dict[str, Any] = json.loads(said)
    return found


def processes_of(root: Path) -> list[psutil.Process]:
    """Every process that names the lake or stands in a tree of one that does."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if process.pid != os.getpid() and str(root) in " ".join(process.info["cmdline"] or []):
            found += [process, *process.children(recursive=True)]
    return found


def await_end(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=END_S)
    assert alive == [], [process.cmdline()[:3] for process in alive]


def await_line(process: subprocess.Popen[str], says: str) -> str:
    """Progress up to the line that says it."""
    assert process.stderr
    lines = []
    for line in process.stderr:
        lines.append(line)
        if says in line:
            return "".join(lines)
    raise AssertionError(f"it ended before it said {says!r}: {''.join(lines)}")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake whose first run was stopped by Ctrl-C while it took events in."""
    root = tmp_path_factory.mktemp("demo") / "lake"
    with start(root, "demo", "--limit", str(LIMIT)) as process:
        await_line(process, "spark session")
        tree = processes_of(root)
        kinds = {psutil.Process(p.pid).name() for p in tree}
        assert "java" in kinds, "neither Spark nor a broker runs: stopped too late"
        deadline = time.monotonic() + END_S
        while not list(root.glob("bronze/events/_delta_log/*.json")):
            assert time.monotonic() < deadline, "bronze was never written"
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        said, progress = process.communicate(timeout=END_S)
    assert process.returncode == 130, progress
    assert said == ""
    assert progress.strip().splitlines()[-1] == "lakehouse: stopped", progress
    assert "Traceback" not in progress
    await_end(tree)
    assert processes_of(root) == []
    return root


@pytest.mark.timeout(900)  # two runs of the whole program: 175 s on two free cores
def test_demo_completes_what_was_stopped_and_a_second_run_adds_nothing(
    spark: SparkSession,
    stopped: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The second run and the check are in this process: that spares two cold starts."""
    first = result_of(stopped, "demo", "--limit", str(LIMIT))
    assert processes_of(stopped) == []
    in_silver = sum(first["silver_rows"].values())
    assert first["bronze_rows"] >= first["events_produced"] > LIMIT / 2
    assert first["bronze_rows"] == (
        in_silver + first["quarantined"] + first["duplicates"] + first["superseded"]
    )
    assert [name for name, rows in first["gold_rows"].items() if not rows] == ["experiment_results"]
    assert first["recommendations"] > 0
    assert first["published"]
    assert first["answer"]["items"]
    assert Path(first["report"]).is_file()
    assert Path(first["data_docs"]).is_file()

    def again(*arguments: str) -> dict[str, Any]:
        capfd.readouterr()
        code = lakehouse(monkeypatch, *arguments, "--root", str(stopped), "--json")
        said, progress = capfd.readouterr()
        assert code == 0, progress[-4000:]
        found: dict[str, Any] = json.loads(said)
        return found

    second = again("demo", "--limit", str(LIMIT))
    counts = ("events_produced", "events_by_type", "bronze_rows", "silver_rows", "quarantined",
              "duplicates", "superseded", "gold_rows", "recommendations", "published")  # fmt: skip
    assert {name: second[name] for name in counts} == {name: first[name] for name in counts}

    checked = again("check")
    assert checked["ok"]
    assert [check["name"] for check in checked["checks"] if not check["ok"]] == []
    assert processes_of(stopped) == []
