"""Two processes on one lake: one of them at a time writes to a table, others to other tables."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from appender import TABLE, append
from given import event
from here import lakehouse
from pyspark.sql import SparkSession
from quick_java import QUICK_JAVA

from pipelines.io.lake import table_path
from pipelines.io.read import read
from pipelines.settings import Settings
from pipelines.streams import load_streams

PROJECT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}"}
COMMITS = 6  # per process
SOON_S = 90


def test_no_append_is_lost_or_repeated_when_two_processes_write_one_table(
    spark: SparkSession, lake: Settings
) -> None:
    command = [sys.executable, str(PROJECT / "tests" / "appender.py"), lake.root, "1000"]
    with subprocess.Popen(
        [*command, str(COMMITS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env=ENVIRONMENT,
    ) as other:
        assert other.stdin and other.stdout
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        refused = append(spark, lake, 0, COMMITS)
        refused += int(other.stdout.readline())
    rows = spark.read.format("delta").load(table_path(lake, TABLE))
    wanted = [*range(COMMITS), *range(1000, 1000 + COMMITS)]
    assert sorted(row["id"] for row in rows.collect()) == wanted
    log = Path(table_path(lake, TABLE)) / "_delta_log"
    assert sorted(int(path.stem) for path in log.glob("*.json")) == list(range(2 * COMMITS))
    assert refused > 0, "they never met"


@contextmanager
def ingesting(project: Path, root: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """`lakehouse ingest --continuous`, ended as a service manager does."""
    command = [sys.executable, "-m", "pipelines", "ingest", "--continuous", "--env", "files"]
    command += ["--metrics-port", str(port)]
    with subprocess.Popen(
        [*command, "--root", root], cwd=project, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def until_rows(spark: SparkSession, lake: Settings, name: str, count: int) -> None:
    until = time.monotonic() + SOON_S
    while read(spark, lake, name).count() < count:
        assert time.monotonic() < until, f"{name} has {read(spark, lake, name).count()} rows"
        time.sleep(0.5)


def test_views_are_refreshed_beside_a_running_ingest_and_a_second_ingest_is_refused(
    spark: SparkSession,
    lake: Settings,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    port: int,
) -> None:
    events = [event("purchase", n, quantity=1) for n in range(10)]
    landing = Path(lake.root) / "landing"
    (landing / "0.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events[:5]))
    with ingesting(project, lake.root, port) as process:
        until_rows(spark, lake, "silver.purchases", 5)
        capfd.readouterr()
        assert lakehouse(monkeypatch, "refresh", "top_sellers", "--root", lake.root) == 0
        assert lakehouse(monkeypatch, "ingest", "--root", lake.root) == 75
        said = capfd.readouterr().err
        assert f"process {process.pid} is writing to bronze.events; wait" in said
        (landing / "1.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events[5:]))
        until_rows(spark, lake, "silver.purchases", 10)
        assert process.poll() is None
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as reply:
            assert 'lakehouse_stream_up{stream="silver"} 1.0' in reply.read().decode()
    assert process.returncode == 128 + signal.SIGTERM
    told = {stream.stream: stream.condition for stream in load_streams(lake.state)}
    assert told == {"bronze": "ended", "silver": "ended"}
    assert read(spark, lake, "gold.top_sellers").count() > 0


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the program whose environment `files` is a small session that reads a folder."""
    copy = tmp_path / "project"
    for folder in ("pipelines", "conf"):
        shutil.copytree(PROJECT / folder, copy / folder)
    for folder in ("ml", "serving", "workflows", "java"):
        (copy / folder).symlink_to(PROJECT / folder)
    quick = {"spark.driver.extraJavaOptions": QUICK_JAVA}
    spark = {"master": "local[1]", "driver_memory": "1g", "shuffle_partitions": 1, "conf": quick}
    overlay = {"source": {"kind": "files"}, "spark": spark}
    (copy / "conf" / "files.yml").write_text(json.dumps(overlay))  # JSON is YAML
    return copy
