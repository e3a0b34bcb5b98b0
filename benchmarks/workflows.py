"""Workflows: overhead beside Prefect and Dagster, a warm Spark task, the idle daemon, kill -9.

`make bench-workflows`. The peers run in process, in an environment of their own that is made once
in build/peers (Prefect 3.8, Dagster 1.13); ours starts a process for every task.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from workflows.bundle import load_bundle
from workflows.runner import STORE, JobRun, repair_run, run_job
from workflows.store import Store

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / "build" / "peers"
# Prefect 3.8.8 does not start with the newest FastAPI.
REQUIREMENTS = ("prefect==3.8.8", "fastapi>=0.139,<0.141", "dagster==1.13.29")
TASKS, LAYER = 200, 20
IDLE_SECONDS = 20
PAUSE = "import time\ntime.sleep(0.05)\n"
SPARK = """\
import sys, time
from pyspark.sql import SparkSession
builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
spark = builder.config("spark.driver.memory", "512m").getOrCreate()
print("ready", time.time())
assert spark.range(1000).count() == 1000
"""


def bundle_of(folder: Path, tasks: list[str], **files: str) -> Path:
    """A bundle with one job `j`."""
    (folder / "databricks.yml").write_text(
        "bundle: {name: bench}\nresources:\n  jobs:\n    j:\n      tasks:\n" + "".join(tasks)
    )
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def layered(file: str, count: int = TASKS) -> list[str]:
    """Tasks in layers of LAYER, each waiting for two of the layer before."""
    lines = []
    for number in range(count):
        before = number - LAYER
        after = [before, before - before % LAYER + (before + 1) % LAYER] if before >= 0 else []
        depends = ", ".join(f"{{task_key: t{n}}}" for n in after)
        lines.append(
            f"        - {{task_key: t{number}, depends_on: [{depends}], "
            f"spark_python_task: {{python_file: {file}.py}}}}\n"
        )
    return lines


def ours(repeats: int) -> float:
    """Milliseconds for each of TASKS tasks that do nothing, the median of some runs."""
    with tempfile.TemporaryDirectory() as home:
        folder = bundle_of(Path(home), layered("nothing"), nothing="")
        bundle = load_bundle(folder)
        times = []
        for number in range(repeats):
            run = run_job(bundle, "j", folder=folder / f"state{number}")
            assert run.state == "SUCCESS"
            times.append(1000 * run.seconds / TASKS)
    return statistics.median(times)


def peers(repeats: int) -> dict[str, float]:
    """The same for each peer, measured by benchmarks/workflow_peers.py in their environment."""
    python = PEERS / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
    found = {}
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "PREFECT_HOME": f"{home}/prefect",
            "PREFECT_LOGGING_LEVEL": "CRITICAL",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DO_NOT_TRACK": "1",
        }
        for peer in ("prefect", "dagster"):
            done = subprocess.run(
                [python, HERE / "workflow_peers.py", peer, str(TASKS), str(LAYER), str(repeats)],
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                print(f"{peer} failed: {done.stderr.strip()[-300:]}")
                continue
            found[peer] = float(done.stdout.strip().splitlines()[-1])
    return found


def warm_spark() -> tuple[float, float]:
    """Milliseconds until a session is ready: a Spark task after the first, and spark-submit."""
    with tempfile.TemporaryDirectory() as home:
        chain = [
            f"        - {{task_key: s{n}, depends_on: [{f'{{task_key: s{n - 1}}}' if n else ''}], "
            "spark_python_task: {python_file: spark.py}}\n"
            for n in range(6)
        ]
        folder = bundle_of(Path(home), chain, spark=SPARK)
        run = run_job(load_bundle(folder), "j", folder=folder / "state")
        assert run.state == "SUCCESS", run
        store = Store(folder / "state" / STORE)
        starts = {a["unit"]: a["started_at"] for a in store.attempts(run.run_id)}
        store.close()
        ready = {t.key: ready_at(t.log.read_text()) for t in run.tasks if t.log}
        warm = statistics.median(1000 * (ready[f"s{n}"] - starts[f"s{n}"]) for n in range(2, 6))
        submit = Path(psutil.__file__).parents[1] / "pyspark" / "bin" / "spark-submit"
        begun = time.time()
        done = subprocess.run(
            [submit, folder / "spark.py"], capture_output=True, text=True, check=True
        )
        return warm, 1000 * (ready_at(done.stdout) - begun)


def ready_at(text: str) -> float:
    """When the task said that its session was ready."""
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("ready"))


def idle_daemon() -> tuple[float, float]:
    """Megabytes and percent of a core that the daemon takes with our own jobs, all paused."""
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "pipelines", "schedule", "--root", f"{home}/lake"]
        daemon = subprocess.Popen(command, cwd=HERE.parent, stderr=subprocess.PIPE, text=True)
        assert daemon.stderr is not None
        assert "triggers" in daemon.stderr.readline()
        process = psutil.Process(daemon.pid)
        time.sleep(2)
        before = sum(process.cpu_times()[:2])
        time.sleep(IDLE_SECONDS)
        percent = 100 * (sum(process.cpu_times()[:2]) - before) / IDLE_SECONDS
        family = [process, *process.children(recursive=True)]
        megabytes = sum(each.memory_info().rss for each in family) / 1e6
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        return megabytes, percent


RUN = (
    "import sys\nfrom pathlib import Path\nfrom workflows.bundle import load_bundle\n"
    "from workflows.runner import run_job\n"
    "run_job(load_bundle(Path(sys.argv[1])), 'j', folder=Path(sys.argv[1]) / 'state')\n"
)


def killed_and_resumed() -> tuple[int, int]:
    """Finished tasks when the runner was killed, and how many of them ran again."""
    with tempfile.TemporaryDirectory() as home:
        folder = bundle_of(Path(home), layered("pause", 60), pause=PAUSE)
        runner = subprocess.Popen([sys.executable, "-c", RUN, str(folder)], cwd=HERE.parent)
        store = Store(folder / "state" / STORE)
        while True:
            run = store.load(1)
            finished = {k for k, u in run.units.items() if u.state == "SUCCESS"} if run else set()
            if len(finished) >= 25:
                break
            time.sleep(0.01)
        runner.kill()
        runner.wait()
        killed = store.load(1)
        assert killed is not None
        finished = {key for key, unit in killed.units.items() if unit.state == "SUCCESS"}
        store.close()
        done: JobRun = repair_run(folder / "state", 1)
        assert done.state == "SUCCESS"
        return len(finished), sum(t.attempts > 1 for t in done.tasks if t.key in finished)


def main() -> None:
    """Measure, print what was measured, and end with one line of figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    overhead = ours(options.repeats)
    print(f"ours: {overhead:.2f} ms a task, each in a process of its own")
    found = peers(options.repeats)
    print(f"peers in process, ms a task: {json.dumps(found)}")
    finished, again = killed_and_resumed()
    print(f"kill -9 after {finished} finished tasks: {again} of them ran again")
    warm, submit = warm_spark()
    print(f"Spark session ready after {warm:.0f} ms, with spark-submit after {submit:.0f} ms")
    megabytes, percent = idle_daemon()
    print(f"idle daemon: {megabytes:.0f} MB, {percent:.2f} % of a core")
    ratio = min(found.values()) / overhead if found else float("nan")
    print(
        f"workflows overhead_ms={overhead:.2f} ratio_vs_peer={ratio:.2f} "
        f"warm_spark_ms={warm:.0f} idle_mb={megabytes:.0f}"
    )


if __name__ == "__main__":
    main()
