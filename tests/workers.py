"""Processes that stand for machines: each runs `s3_worker.py` and answers a line at a time."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS_TO_END = 60
PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Worker:
    """One machine: a process with a warm session, and its log."""

    process: subprocess.Popen[str]
    log: Path

    def ask(self, *arguments: Any) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(arguments) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout
        said = self.process.stdout.readline()
        assert said, self.log.read_text(errors="replace")[-3000:]
        found: dict[str, Any] = json.loads(said)
        return found

    def run(self, *arguments: str) -> Any:
        """The JSON object that a command prints."""
        self.ask(*arguments, "--env", "s3", "--json")
        done = self.answer()
        assert done["code"] == 0, done
        return json.loads(done["out"])


@contextmanager
def worker(project: Path, name: str) -> Iterator[Worker]:
    """A worker, which ends with its block."""
    log = project / f"{name}.log"
    environment = {**os.environ, "PYTHONPATH": f"{project}:{PROJECT / 'tests'}"}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, str(PROJECT / "tests" / "s3_worker.py"), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=project,
            env=environment,
        ) as process,
    ):
        assert process.stdin
        try:
            yield Worker(process, log)
            process.stdin.close()
            process.wait(SECONDS_TO_END)
        finally:
            process.kill()  # what hangs is not waited for
