"""The same program under spark-submit: on this machine, and on a real standalone cluster.

The exact command is `submit` below: spark-submit with `conf/spark-defaults.conf`, the program's
file, and the arguments of the command line.
"""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyspark
import pytest
from given import event
from pyspark.sql import SparkSession
from quick_java import QUICK_JAVA

from pipelines.check import check_lake
from pipelines.io.session import REQUIRED, packages
from pipelines.running import writing
from pipelines.settings import Settings, load_settings
from pipelines.sources.connection import kafka
from pipelines.sources.dataset import Dataset, send

PROJECT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
DEFAULTS = PROJECT / "conf" / "spark-defaults.conf"
ENVIRONMENT = {
    **os.environ,
    "PYSPARK_PYTHON": sys.executable,
    "SPARK_LOCAL_IP": "127.0.0.1",
    "SPARK_DAEMON_MEMORY": "256m",
    "SPARK_DAEMON_JAVA_OPTS": QUICK_JAVA,
}
START_S = 60

# Sizes for a small machine; what the program needs stands in spark-defaults.conf.
SMALL = {
    "spark.driver.memory": "1g",
    "spark.executor.memory": "600m",
    "spark.sql.shuffle.partitions": "2",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.adaptive.enabled": "false",
    "spark.driver.extraJavaOptions": QUICK_JAVA,
    "spark.executor.extraJavaOptions": QUICK_JAVA,
}


def submit(
    master: str, *arguments: str, conf: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of the program as a user of a cluster does, from the project's folder."""
    further = [f"--conf={key}={value}" for key, value in {**SMALL, **(conf or {})}.items()]
    return subprocess.run(
        [
            *(str(SPARK_HOME / "bin" / "spark-submit"), "--master", master),
            *("--properties-file", "conf/spark-defaults.conf"),
            *further,
            *("pipelines/__main__.py", *arguments),
        ],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=ENVIRONMENT,
        timeout=200,
        check=False,
    )


def result_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    # Ivy, inside spark-submit, reports on standard output before the program runs.
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Cluster:
    """A master, and the folders in which its two workers keep what their executors do."""

    url: str
    workers: tuple[Path, Path]

    def executors(self) -> list[set[str]]:
        """By worker, the executors that it ran, as `application/number`."""
        return [
            {f"{folder.parent.name}/{folder.name}" for folder in worker.glob("app-*/*")}
            for worker in self.workers
        ]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A standalone cluster of Spark: one master and two workers of one core, on loopback."""
    folder = tmp_path_factory.mktemp("cluster")
    port, page = free_port(), free_port()
    url = f"spark://127.0.0.1:{port}"
    workers = (folder / "worker-1", folder / "worker-2")
    here = ("--host", "127.0.0.1")
    with ExitStack() as until_stopped:
        master = ("org.apache.spark.deploy.master.Master", *here)
        until_stopped.enter_context(
            daemon(folder / "master.log", *master, "--port", str(port), "--webui-port", str(page))
        )
        await_workers(page, 0)
        for work in workers:
            worker = ("org.apache.spark.deploy.worker.Worker", *here, "--webui-port", "0")
            size = ("--cores", "1", "--memory", "700m", "--work-dir", str(work))
            log = work.with_suffix(".log")
            until_stopped.enter_context(daemon(log, *worker, *size, url))
        await_workers(page, 2)
        yield Cluster(url, workers)


@contextmanager
def daemon(log: Path, *command: str) -> Iterator[None]:
    """A process of the cluster, stopped by its id when the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(SPARK_HOME / "bin" / "spark-class"), *command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT,
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_workers(page: int, count: int) -> None:
    """Wait until the master answers and that many workers are alive."""
    deadline = time.monotonic() + START_S
    alive = -1
    while alive < count:
        assert time.monotonic() < deadline, f"the cluster has {alive} of {count} workers"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{page}/json/", timeout=5) as reply:
                alive = json.load(reply)["aliveworkers"]
        except OSError:
            time.sleep(0.1)


def test_defaults_are_those_of_the_program() -> None:
    lines = [line.split() for line in DEFAULTS.read_text().splitlines() if line[:1] != "#"]
    defaults = {line[0]: line[1] for line in lines}
    assert defaults.items() >= REQUIRED.items()
    settings = load_settings(overrides={"root": "lake"})
    assert defaults["spark.jars.packages"].split(",") == packages(settings)
    assert (PROJECT / defaults["spark.jars.ivySettings"]).is_file()


def test_program_runs_on_this_machine_and_on_a_cluster(
    spark: SparkSession, cluster: Cluster, tmp_path: Path
) -> None:
    """One lake: its events taken in here first, then more by the cluster, which refreshes gold."""
    settings = load_settings(overrides={"root": str(tmp_path / "lake")})
    where = ("--root", settings.root, "--json")
    produce(settings, "first", [event("purchase", n) for n in range(10)])
    assert result_of(submit("local[2]", "ingest", *where)) == {
        "bronze": 10,
        "silver": 10,
        "documents": 0,
    }

    produce(settings, "second", [event("click", n) for n in range(10, 40)])
    log = {
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": tmp_path.as_uri(),
        "spark.eventLog.compress": "false",
    }
    done = submit(cluster.url, "ingest", *where, conf=log)
    assert result_of(done) == {"bronze": 30, "silver": 30, "documents": 0}
    by_worker = cluster.executors()
    assert all(by_worker), "a worker ran no executor"
    busy = executors_that_worked(tmp_path)
    assert all(busy & executors for executors in by_worker), (busy, by_worker)

    refreshed = submit(cluster.url, "refresh", "sales_hourly", "item_funnel", *where)
    assert {view["strategy"] for view in result_of(refreshed)["views"]} == {"full"}
    findings = {finding.name: finding for finding in check_lake(spark, settings)}
    assert findings["bronze = produced"].detail == "40 rows"
    assert findings["gold.sales_hourly = recomputation"].ok
    assert findings["gold.item_funnel = recomputation"].ok
    assert all(f.ok for name, f in findings.items() if "gold." not in name)


def produce(settings: Settings, name: str, events: list[dict[str, Any]]) -> None:
    """Send events with a ledger to the lake's own broker, which ends with this."""
    pairs = [(e["event_id"].encode(), json.dumps(e).encode()) for e in events]
    with writing(settings, create=True), kafka(settings) as broker:
        send(Dataset(name, name, lambda: pairs), broker, rate=None, progress=lambda _: None)


def executors_that_worked(logs: Path) -> set[str]:
    """Executors that finished a task, as `application/number`, from Spark's event log."""
    found = set()
    for folder in logs.glob("eventlog_v2_*"):
        application = folder.name.removeprefix("eventlog_v2_")
        for file in folder.glob("events_*"):
            for line in file.read_text().splitlines():
                happened = json.loads(line)
                if happened["Event"] == "SparkListenerTaskEnd":
                    found.add(f"{application}/{happened['Task Info']['Executor ID']}")
    return found
