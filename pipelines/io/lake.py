"""Where a lake keeps things, which version it is of, and who may write to its tables."""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipelines.errors import DiskFullError, LakeError, LockedError
from pipelines.io import s3
from pipelines.settings import Settings

# Raised when a table's layout changes so that an older lake can no longer be written to.
FORMAT_VERSION = 1
_MARKER = "lake.json"
_CONTENT = json.dumps({"format_version": FORMAT_VERSION}).encode() + b"\n"


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
    """The state folder of a lake of this version; it is local, wherever the lake stands.

    Raises:
        LakeError: there is no lake, or another version made it.
        StorageError: the service that keeps the lake cannot be reached or refuses.
        DiskFullError: no space is left for it.
    """
    if s3.is_on(settings.root):
        return _open_on_s3(settings, create=create)
    state = settings.state
    marker = state / _MARKER
    if marker.is_file():
        _require_version(marker.read_bytes(), str(marker))
        return state
    if not create:
        raise _absent(settings)
    root = Path(settings.root)
    # Events may have landed before the lake is made, and another process may be making it.
    landing = (settings.source.files.path, settings.documents.path)
    ours = {*(Path(path).parts[0] for path in landing), state.name}
    if root.is_dir() and any(entry.name not in ours for entry in root.iterdir()):
        raise LakeError(
            f"{settings.root} is not empty and not a lake; name another folder with --root"
        )
    with _disk_errors(settings.root, "--root"):
        state.mkdir(parents=True, exist_ok=True)
        draft = marker.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(_CONTENT)
        draft.replace(marker)
    return state


def _open_on_s3(settings: Settings, *, create: bool) -> Path:
    marker = s3.Marker(settings, _MARKER)
    found = marker.read()
    if found is not None:
        _require_version(found, f"{_root(settings)}/{_MARKER}")
    elif not create:
        raise _absent(settings)
    if create:
        marker.write_once(_CONTENT)
    with _disk_errors(str(settings.state), "state_dir"):
        settings.state.mkdir(parents=True, exist_ok=True)
    return settings.state


def _absent(settings: Settings) -> LakeError:
    return LakeError(f"no lake at {settings.root}; make one with `lakehouse demo` or `ingest`")


@contextlib.contextmanager
def _disk_errors(folder: str, named_by: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFullError(f"no space left for a lake at {folder}; free some") from None
        raise LakeError(
            f"cannot write to {folder}: {error.strerror}; name another folder with {named_by}"
        ) from None


def _require_version(marker: bytes, place: str) -> None:
    try:
        found = json.loads(marker)["format_version"]
    except (ValueError, KeyError, TypeError):
        raise LakeError(f"{place} is damaged; restore it from a backup of the lake") from None
    if found != FORMAT_VERSION:
        raise LakeError(
            f"the lake is of format version {found}, this program writes version {FORMAT_VERSION}; "
            "use the release that made it, or name a new folder with --root"
        )


@contextlib.contextmanager
def locks(state: Path, names: Iterable[str]) -> Iterator[None]:
    """Hold the writer locks of the named tables: Delta's own lock ends at the JVM on a local disk.

    They are taken in one order, whoever asks, and none is waited for. The operating system frees
    them when the process ends, however it ends; a process that is stopped keeps them.

    Args:
        names: tables, or what else has one writer at a time (`model`, `online store`).

    Raises:
        LockedError: another process holds one of them.
    """
    with contextlib.ExitStack() as held:
        for name in sorted(set(names)):
            held.enter_context(_lock(state / "locks", name))
        yield


@contextlib.contextmanager
def _lock(folder: Path, name: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    with (folder / f"{name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise LockedError(
                f"process {holder} is writing to {name}; wait for it to end or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
