"""The jars that run with Spark and as the broker, checked by digest: conf/jars.sha256.

The list has the form of `sha256sum`. A file is hashed once; after that its size, times and inode
say that it is the same.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from hashlib import file_digest
from pathlib import Path

from pipelines.errors import JarError

LIST = Path(__file__).resolve().parent.parent / "conf" / "jars.sha256"
_SEEN = "jars.json"


def digests(listed: Path = LIST) -> dict[str, str]:
    """File name -> SHA-256 in hexadecimal.

    Raises:
        JarError: the list is missing or malformed.
    """
    found: dict[str, str] = {}
    try:
        lines = listed.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise JarError(f"{listed}: {error.strerror}; restore it") from None
    for number, line in enumerate(lines, start=1):
        digest, _, name = line.partition("  ")
        if line.startswith("#"):
            continue
        if len(digest) != 64 or not name or name in found:
            raise JarError(f"{listed}:{number}: must be a SHA-256, two spaces and a new name")
        found[name] = digest
    return found


def check_jars(jars: Iterable[Path], known: Mapping[str, str], cache: Path | None = None) -> None:
    """Refuse jars that are not, byte for byte, the listed ones.

    Args:
        known: see `digests`.
        cache: a folder for what was hashed before; that of this user, if none is given.

    Raises:
        JarError: a jar is not listed, differs or cannot be read.
    """
    seen_in = (cache or cache_folder()) / _SEEN
    seen = _load(seen_in)
    before = dict(seen)
    for jar in jars:
        if jar.name not in known:
            raise JarError(
                f"{jar} is not listed; if you trust it, add the line of `sha256sum` to {LIST}"
            )
        if _digest(jar, seen) != known[jar.name]:
            raise JarError(
                f"{jar} is not the file that {LIST} lists; delete it, and the next run fetches it"
            )
    if seen != before:
        _save(seen_in, seen)


def cache_folder() -> Path:
    """Where this user's downloads are kept."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "retail-lakehouse"


def _digest(jar: Path, seen: dict[str, list[object]]) -> str:
    try:
        status = jar.stat()
        stamp = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        kept = seen.get(str(jar))
        if kept is None or kept[:-1] != stamp:
            with jar.open("rb") as file:
                kept = [*stamp, file_digest(file, "sha256").hexdigest()]
            seen[str(jar)] = kept
    except OSError as error:
        raise JarError(f"{jar}: {error.strerror}; run again to fetch it") from None
    return str(kept[-1])


def _load(file: Path) -> dict[str, list[object]]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(file.read_bytes())
        if isinstance(found, dict):
            return {k: v for k, v in found.items() if isinstance(v, list) and len(v) == 5}
    return {}


def _save(file: Path, seen: Mapping[str, list[object]]) -> None:
    with contextlib.suppress(OSError):  # then they are hashed once more
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}.tmp")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(seen))
        draft.replace(file)
