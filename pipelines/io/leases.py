"""Leases of running readers: files of old versions that must not go before the reader ends.

A lease is a small file in the state folder, locked while its reader lives; the operating system
frees the lock when the process ends, however it ends. It binds readers and `maintain` that share
one state folder, that is one machine.
"""

import contextlib
import fcntl
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.settings import Settings


@dataclass(frozen=True)
class Lease:
    """Who reads which tables, each at which version."""

    who: str
    versions: dict[str, int]


@contextlib.contextmanager
def reading(settings: Settings, who: str, versions: Mapping[str, int]) -> Iterator[None]:
    """Keep VACUUM off the files of these versions, and of all that came after, for a while.

    Args:
        who: what a user would look for when told that it still reads.
        versions: table -> the version that is read.
    """
    folder = _folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    lease = folder / f"{os.getpid()}-{uuid.uuid4()}.json"
    draft = lease.with_suffix(".draft")
    with draft.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        json.dump({"who": f"{who} (process {os.getpid()})", "versions": dict(versions)}, file)
        file.flush()
        draft.replace(lease)  # only now, so that no lease is ever seen unlocked or half written
        try:
            yield
        finally:
            lease.unlink(missing_ok=True)


def leases(settings: Settings) -> list[Lease]:
    """The leases of readers that live; those of readers that died are cleared away."""
    found = []
    for path in sorted(_folder(settings).glob("*.json")):
        with contextlib.suppress(FileNotFoundError), path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(Lease(**json.load(file)))
            else:
                path.unlink(missing_ok=True)
    return found


def _folder(settings: Settings) -> Path:
    return settings.state / "leases"
