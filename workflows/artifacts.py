"""The wheels that tasks need: built before a run if they are not there, as a deployment does."""

import shlex
import subprocess
import sys
from pathlib import Path

from pipelines.errors import BundleError
from workflows.bundle import Bundle
from workflows.model import Job
from workflows.task_files import files_of


def build_missing(bundle: Bundle, job: Job) -> None:
    """Build the bundle's artifacts if a wheel that the job names is not there.

    Raises:
        BundleError: a build failed, or there is still no such wheel.
    """
    wanted = [p for task in job.tasks for p in (*task.libraries, *_looped(task.loop))]
    if not [pattern for pattern in wanted if not files_of(pattern)]:
        return
    for name, artifact in bundle.artifacts.items():
        folder = bundle.root / str(artifact.get("path") or ".")
        command = artifact.get("build")
        arguments = shlex.split(command) if command else _wheel(folder)
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1]
            raise BundleError(f"artifact '{name}' in {folder} was not built: {said}; correct it")
    for pattern in wanted:
        if not files_of(pattern):
            raise BundleError(f"no wheel {pattern}; declare an artifact that builds it")


def _looped(task: object) -> tuple[str, ...]:
    libraries: tuple[str, ...] = getattr(task, "libraries", ())
    return libraries


def _wheel(folder: Path) -> list[str]:
    options = ("--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(folder / "dist"))
    return [sys.executable, "-m", "pip", "wheel", *options, str(folder)]
