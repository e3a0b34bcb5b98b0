"""What is wrong with a lake on this disk, and the safe way to mend it: plain files, no Spark.

Nothing is changed. A finding that is only a note needs no repair: time or the next command does it.
"""

import fcntl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipelines.errors import LakeError
from pipelines.io.doctor_streams import check_streams
from pipelines.io.doctor_tables import Opened, check_bytes, check_log, check_table, check_view
from pipelines.io.findings import Finding
from pipelines.io.lake import open_lake, table_path
from pipelines.registry import NAMES, VIEWS
from pipelines.settings import Settings
from pipelines.streams import load_streams

_FROM_BACKUP = "put the whole lake back from a backup (docs/backup.md)"


@dataclass(frozen=True)
class Diagnosis:
    """What was looked at, and what was found."""

    tables: int
    files: int
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        return all(one.is_note for one in self.findings)


def examine(settings: Settings, *, reads_all: bool = False) -> Diagnosis:
    """Look at every table, checkpoint, stream and lock of a lake.

    Args:
        reads_all: read every live file too, and compare its pages with their checksums.

    Raises:
        LakeError: there is no lake, or it does not stand on this disk.
    """
    if "://" in settings.root:
        raise LakeError("only a lake on this disk can be examined; copy one to a folder for that")
    state = open_lake(settings)
    opened, findings = _open_tables(settings)
    for name, table in opened.items():
        findings += check_table(name, table)
        findings += check_bytes(name, table) if reads_all else ()
    for view in VIEWS:
        if view.name in opened:
            findings += check_view(view.name, opened)
    findings += check_streams(settings, opened)
    findings += _check_processes(state)
    files = sum(table.file_count for table in opened.values())
    return Diagnosis(len(opened), files, tuple(findings))


def _open_tables(settings: Settings) -> tuple[dict[str, Opened], list[Finding]]:
    opened: dict[str, Opened] = {}
    findings: list[Finding] = []
    for name in NAMES:
        path = Path(table_path(settings, name))
        if not path.exists():
            continue
        broken = list(check_log(name, path))
        if not broken:
            try:
                opened[name] = Opened(path, DeltaTable(str(path)))
            except (DeltaError, OSError, ValueError) as error:
                said = (str(error).splitlines() or ["unknown"])[0]
                broken = [Finding(name, f"its log cannot be read: {said[:200]}", _repair(name))]
        findings += broken
    return opened, findings


def _repair(name: str) -> str:
    if name in {view.name for view in VIEWS}:
        return f"delete the folder of {name} and run `lakehouse refresh {name}`"
    return _FROM_BACKUP


def _check_processes(state: Path) -> Iterator[Finding]:
    """Locks that are held, and streams that died."""
    for file in sorted((state / "locks").glob("*.lock")):
        holder = _holder(file)
        if holder is None:
            continue
        name = file.stem
        try:
            process = psutil.Process(holder)
            is_stopped = process.status() == psutil.STATUS_STOPPED
        except psutil.Error:
            is_stopped = False
        if is_stopped:
            yield Finding(
                name,
                f"process {holder} holds its lock and is stopped: nobody else may write to it",
                f"let it go on (kill -CONT {holder}) or end it (kill {holder})",
            )
        else:
            said = f"process {holder} is writing to it; what is said of it may be out of date"
            yield Finding(name, said, "wait for it, then look again", is_note=True)
    for stream in load_streams(state):
        if stream.condition == "died":
            said = f"its process {stream.process} died in the middle of a batch"
            yield Finding(
                f"stream {stream.stream}", said, "run `lakehouse ingest`: it does it again, once",
                is_note=True,
            )  # fmt: skip
        elif stream.condition == "failed":
            said = f"it failed: {stream.error[:200]}"
            repair = "mend that and run `lakehouse ingest`"
            yield Finding(f"stream {stream.stream}", said, repair)


def _holder(file: Path) -> int | None:
    """The process that holds a lock; None if nobody does: the file stays when a process ends."""
    with file.open("r") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = lock.read().strip()
            return int(said) if said.isdigit() else 0
    return None
