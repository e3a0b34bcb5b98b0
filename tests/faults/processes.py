"""Real processes: the program with its JVM, the producer, and how they are killed."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quick_java import QUICK_JAVA
from s3_server import end_with_parent

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
ANSWER_S = 400  # on a machine that others use too
LOOK_S = 0.0005  # between looks at the disk for the moment of a kill


@dataclass(frozen=True)
class Answer:
    """How a command ended; `code` -9 if its process was killed."""

    code: int
    out: str = ""
    err: str = ""

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


KILLED = Answer(-int(signal.SIGKILL))


def make_project(folder: Path, overlay: Mapping[str, Any]) -> Path:
    """A copy of the program whose environment `faults` is this overlay; `bulk` in large batches."""
    folder.mkdir()
    for name in ("ml", "serving", "workflows", "java"):
        (folder / name).symlink_to(PROJECT / name)
    for name in ("pipelines", "conf"):
        shutil.copytree(PROJECT / name, folder / name)
    kafka = {**overlay["source"]["kafka"], "max_offsets_per_trigger": 1_000_000}
    bulk = {**overlay, "source": {"kind": "kafka", "kafka": kafka}}
    for name, content in (("faults", overlay), ("bulk", bulk)):
        (folder / "conf" / f"{name}.yml").write_text(json.dumps(content))  # JSON is YAML
    return folder


def overlay(servers: str, topic: str, redis_url: str = "", batch: int = 700) -> dict[str, Any]:
    """Settings of a small machine; batches of so many events, upkeep every second."""
    conf = {
        "spark.sql.adaptive.enabled": "false",
        "spark.driver.extraJavaOptions": f"{QUICK_JAVA} -Duser.timezone=UTC",
    }
    kafka = {"bootstrap_servers": servers, "topic": topic, "partitions": 2}
    return {
        "source": {"kind": "kafka", "kafka": kafka | {"max_offsets_per_trigger": batch}},
        "maintain": {"every_s": 1, "max_small_files": 6},
        "documents": {"every_s": 3600},
        "spark": {
            "master": "local[2]",
            "driver_memory": "1500m",
            "shuffle_partitions": 2,
            "conf": conf,
        },
        **({"online": {"kind": "redis", "redis_url": redis_url}} if redis_url else {}),
    }


def environment(project: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(project), "TMPDIR": str(project)}


def where(arguments: tuple[str, ...], other: Path | None, own: Path) -> tuple[str, ...]:
    """Options that name environment and lake; a break of the program takes none."""
    if arguments[0].startswith("!"):
        return ()
    env = "bulk" if other else "faults"
    return ("--env", env, "--json", "--root", str(other or own))


@dataclass
class Worker:
    """A process with a warm session, in a group of its own; started again when it was killed."""

    project: Path
    root: Path
    starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    _read: bytearray = field(default_factory=bytearray)

    def start(self) -> None:
        self.starts += 1
        with (self.project / "worker.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "child.py")],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.project,
                env=environment(self.project),
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        self._read.clear()

    def start_if_dead(self) -> None:
        """A process whose session is warm enough to be asked at once."""
        if self.process is None or self.process.poll() is not None:
            self.run("!mend")

    def ask(self, *arguments: str, root: Path | None = None) -> None:
        """Begin a command, on this worker's lake unless another is named."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        assert self.process and self.process.stdin
        line = json.dumps([*arguments, *where(arguments, root, self.root)])
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def answered(self, seconds: float) -> Answer | None:
        """The answer, if it comes within this time; `KILLED` once the process is dead."""
        assert self.process and self.process.stdout
        until = time.monotonic() + seconds
        while b"\n" not in self._read:
            left = until - time.monotonic()
            if left < 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            if not (found := os.read(self.process.stdout.fileno(), 1 << 16)):
                self.process.wait(10)
                return KILLED
            self._read += found
        line, _, rest = bytes(self._read).partition(b"\n")
        self._read[:] = rest
        return Answer(**json.loads(line))

    def run(self, *arguments: str, root: Path | None = None) -> Answer:
        """A command to its end."""
        self.ask(*arguments, root=root)
        found = self.answered(ANSWER_S)
        assert found, f"no answer to {arguments}; see {self.project / 'worker.log'}"
        return found

    def signal(self, number: signal.Signals) -> None:
        """To the process and its JVM, as one group."""
        assert self.process
        os.killpg(self.process.pid, number)

    def kill_when(self, now: Callable[[], bool]) -> bool:
        """Kill process and JVM at the moment that `now` is true; False if it answered before."""
        while not now():
            if self.answered(LOOK_S):
                return False
        self.kill()
        return True

    def kill(self) -> None:
        """SIGKILL to all of the group; returns when none of it is left."""
        if self.process is None:
            return
        process, self.process = self.process, None
        end_group(process)

    def close(self) -> None:
        self.kill()


def end_group(process: subprocess.Popen[Any]) -> None:
    """Kill a process with all that it started, by its group, and wait until none is left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait(20)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            os.killpg(process.pid, 0)
        except (ProcessLookupError, PermissionError):
            break
        time.sleep(0.01)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()


def command(project: Path, root: Path, *arguments: str) -> subprocess.Popen[str]:
    """`python -m pipelines …` in a process and a group of its own, its answer on its pipes."""
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pipelines", *arguments),
            *("--env", "faults", "--root", str(root)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=project,
        env=environment(project),
        start_new_session=True,
        preexec_fn=end_with_parent,
    )


def ended(process: subprocess.Popen[str], seconds: float = ANSWER_S) -> Answer:
    """The end of a command."""
    out, err = process.communicate(timeout=seconds)
    return Answer(process.returncode, out, err)


def producer(
    servers: str, topic: str, ledger: Path, seed: int, first: int, after: int, rate: int = 0
) -> subprocess.Popen[bytes]:
    """The producer of these messages, begun."""
    numbers = map(str, (seed, first, after, rate))
    return subprocess.Popen(
        [sys.executable, str(HERE / "producer.py"), servers, topic, str(ledger), *numbers],
        start_new_session=True,
        preexec_fn=end_with_parent,
    )
