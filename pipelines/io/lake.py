"""Where a lake keeps things, which version it is of, and who may write to it."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import DiskFullError, LakeError, LockedError
from pipelines.settings import Settings

# Raised when a table's layout changes so that an older lake can no longer be written to.
FORMAT_VERSION = 1


def table_path(settings: Settings, name: str) -> str:
    """Where the Delta table `layer.noun` stands."""
    return f"{_root(settings)}/{name.replace('.', '/')}"


def checkpoint_path(settings: Settings, stream: str) -> str:
    """Where a stream keeps its checkpoint; the underscore keeps it out of every table."""
    return f"{_root(settings)}/_checkpoints/{stream}"


def _root(settings: Settings) -> str:
    if "://" in settings.root:
        return settings.root.rstrip("/")
    return str(Path(settings.root).expanduser().absolute())


def open_lake(settings: Settings, *, create: bool = False) -> Path:
    """The state folder of a lake of this version.

    Raises:
        LakeError: there is no lake, or another version made it.
        DiskFullError: no space is left for it.
    """
    state = settings.state
    marker = state / "lake.json"
    if marker.is_file():
        _require_version(marker)
        return state
    if not create:
        raise LakeError(f"no lake at {settings.root}; make one with `lakehouse demo` or `ingest`")
    root = Path(settings.root)
    landing = Path(settings.source.files.path).parts[:1]  # may be filled before the lake is made
    if root.is_dir() and any(entry.name not in landing for entry in root.iterdir()):
        raise LakeError(
            f"{settings.root} is not empty and not a lake; name another folder with --root"
        )
    try:
        state.mkdir(parents=True, exist_ok=True)
        draft = marker.with_suffix(".tmp")
        draft.write_text(json.dumps({"format_version": FORMAT_VERSION}) + "\n")
        draft.replace(marker)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"no space left for a lake at {settings.root}; free some") from None
        raise LakeError(
            f"cannot write to {settings.root}: {error.strerror}; name another folder with --root"
        ) from None
    return state


def _require_version(marker: Path) -> None:
    try:
        found = json.loads(marker.read_text())["format_version"]
    except (ValueError, KeyError, TypeError):
        raise LakeError(f"{marker} is damaged; restore it from a backup of the lake") from None
    if found != FORMAT_VERSION:
        raise LakeError(
            f"the lake is of format version {found}, this program writes version {FORMAT_VERSION}; "
            "use the release that made it, or name a new folder with --root"
        )


@contextlib.contextmanager
def writer_lock(state: Path) -> Iterator[None]:
    """Hold the lake's one writer lock: Delta's own lock ends at the JVM on a local disk.

    The operating system frees it when the process ends, however it ends.

    Raises:
        LockedError: another process holds it.
    """
    path = state / "writer.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise LockedError(
                f"process {holder} is writing to this lake; wait for it to end or stop it"
            ) from None
        lock.seek(0)
        lock.truncate()
        lock.write(str(os.getpid()))
        lock.flush()
        yield
