"""The command line as its users meet it: exit codes, one-line errors, JSON and nothing else."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipelines import cli
from pipelines.io.lake import open_lake
from pipelines.settings import Settings, load_settings

PROJECT = Path(__file__).resolve().parents[2]
SOON_S = 10  # far less than a Spark session takes to start on a busy machine and to be of use

HOLDER = """
import sys
from pathlib import Path
from pipelines.io.lake import locks
with locks(Path(sys.argv[1]), sys.argv[2:]):
    print("locked", flush=True)
    sys.stdin.read()
"""


def lakehouse(
    *arguments: str, cwd: Path = PROJECT, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipelines", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        check=False,
    )


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, says: str) -> None:
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("lakehouse: ") or "Traceback" not in lines[0]
    assert says in lines[0]


@pytest.fixture
def empty_lake(tmp_path: Path) -> Path:
    root = tmp_path / "lake"
    open_lake(load_settings(overrides={"root": str(root)}), create=True)
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the program with a conf that a test may spoil."""
    copy = tmp_path / "project"
    copy.mkdir()
    for folder in ("pipelines", "ml", "serving", "workflows"):
        (copy / folder).symlink_to(PROJECT / folder)
    (copy / "pipelines").unlink()
    shutil.copytree(PROJECT / "pipelines", copy / "pipelines")
    shutil.copytree(PROJECT / "conf", copy / "conf")
    return copy


@contextmanager
def another_writer(root: Path, *names: str) -> Iterator[int]:
    command = [sys.executable, "-c", HOLDER, str(root / "_state"), *names]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield process.pid


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["nothing"], "No such command 'nothing'", id="unknown command"),
        pytest.param(["check", "--nope"], "No such option: --nope", id="unknown option"),
        pytest.param(["check", "extra"], "extra", id="one argument too many"),
        pytest.param(["query"], "Missing argument 'sql'", id="missing argument"),
        pytest.param(["demo", "--limit", "many"], "valid integer", id="not a number"),
        pytest.param(["check", "--env", "moon"], "environments here: dev, local, prod", id="env"),
        pytest.param(["refresh", "nope"], "no view named nope; there are", id="unknown view"),
        pytest.param(["produce", "no.csv"], "no file no.csv; name a file", id="unknown file"),
        pytest.param(["run", "nope"], "nope", id="unknown job"),
    ],
)
def test_bad_input_is_one_line_and_code_2(tmp_path: Path, arguments: list[str], says: str) -> None:
    root = tmp_path / "lake"
    where = ["--root", str(root)] if arguments != ["nothing"] else []
    started = time.monotonic()
    assert_one_line(lakehouse(*arguments, *where), 2, says)
    assert time.monotonic() - started < SOON_S
    assert not root.exists()


def test_file_without_a_mapping_and_mapping_that_does_not_fit_are_named(tmp_path: Path) -> None:
    file, mapping = tmp_path / "shop.csv", tmp_path / "map.yml"
    file.write_text("when,sku\n2017-01-01T00:00:00Z,1\n")
    where = ("--root", str(tmp_path / "lake"))
    assert_one_line(lakehouse("produce", str(file), *where), 2, "needs a mapping; name one with")
    shutil.copy(PROJECT / "conf" / "mappings" / "invoices.yml", mapping)
    done = lakehouse("produce", str(file), "--map", str(mapping), *where)
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("lakehouse: ")
    assert "Quantity" in last or "InvoiceDate" in last
    assert "Traceback" not in done.stderr


def test_unknown_key_in_the_settings_is_named_with_its_line(project: Path) -> None:
    (project / "conf" / "local.yml").write_text("source:\n  kafka:\n    tpoic: events\n")
    done = lakehouse("check", cwd=project)
    assert_one_line(done, 2, "conf/local.yml:3")
    assert "source.kafka.tpoic" in done.stderr


@pytest.mark.parametrize("command", [["check"], ["refresh"], ["status"], ["query", "SELECT 1"]])
def test_absent_lake_is_code_1_and_says_what_to_do(tmp_path: Path, command: list[str]) -> None:
    started = time.monotonic()
    done = lakehouse(*command, "--root", str(tmp_path / "lake"), "--json")
    assert_one_line(done, 1, "make one with `lakehouse demo` or `ingest`")
    assert time.monotonic() - started < SOON_S


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("check", "silver.purchases"),
        ("demo", "gold.sales_hourly"),
        ("ingest", "bronze.events"),
        ("refresh", "gold.top_sellers"),
        ("train", "model"),
        ("recommend", "gold.recommendations"),
        ("index", "model"),
        ("price", "gold.elasticities"),
        ("publish", "online store"),
    ],
)
def test_locked_table_is_code_75_and_names_it_and_its_writer(
    empty_lake: Path, command: str, name: str
) -> None:
    with another_writer(empty_lake, name) as pid:
        done = lakehouse(command, "--root", str(empty_lake), "--json")
    assert_one_line(done, 75, f"process {pid} is writing to {name}; wait")


def test_lack_of_java_is_named_with_the_remedy(empty_lake: Path, tmp_path: Path) -> None:
    bare = {"PATH": str(tmp_path), "JAVA_HOME": str(tmp_path)}
    for command in ("check", "demo"):
        done = lakehouse(command, "--root", str(empty_lake), env=bare)
        assert done.returncode == 1
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("lakehouse: no Java found; install a Java 17 or later runtime")
        assert "Traceback" not in done.stderr


def test_taken_port_is_named(empty_lake: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = lakehouse("serve", "--root", str(empty_lake), "--port", str(port))
    assert_one_line(done, 2, str(port))


def test_help_names_every_command_and_needs_no_lake(tmp_path: Path) -> None:
    done = lakehouse("--help")
    assert done.returncode == 0
    for command in ("demo", "produce", "ingest", "refresh", "check", "query", "serve", "train"):
        assert command in done.stdout


def test_closed_output_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pipelines", "--help"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=PROJECT,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert b"Traceback" not in said
    assert b"Exception ignored" not in said


def test_query_prints_one_json_object_and_nothing_else(
    spark: SparkSession,
    golden_lake: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """In this process, whose session is warm."""
    sql = "SELECT item_id, occurred_at, attributes FROM silver.price_changes ORDER BY 1, 2"
    arguments = ["query", sql, "--root", golden_lake.root, "--limit", "3", "--json"]
    monkeypatch.setattr(sys, "argv", ["lakehouse", *arguments])
    monkeypatch.setattr(cli, "end_on_signals", lambda: None)
    assert cli.main() == 0
    said = capfd.readouterr().out
    assert said.count("\n") == 1
    rows = json.loads(said)["rows"]
    assert len(rows) == 3
    assert rows[0].keys() == {"item_id", "occurred_at", "attributes"}
