"""A folder that is published once and never changes: a manifest with the digest of every file.

The digest of the manifest names the folder's whole content. Arrays are plain (no pickle).
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import StoreError

MANIFEST = "manifest.json"
FORMAT = 1
_REMEDY = "run `lakehouse index`"


def seal(folder: Path, facts: dict[str, Any]) -> str:
    """Write the manifest of a finished folder; returns its SHA-256, the version of the folder.

    Args:
        facts: JSON that is kept with it.
    """
    files = {str(file.relative_to(folder)): _sha256(file) for file in _files(folder)}
    text = json.dumps({"format": FORMAT, "facts": facts, "files": files}, sort_keys=True)
    (folder / MANIFEST).write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()


def verified(folder: Path, digest: str) -> dict[str, Any]:
    """The facts of a sealed folder after every byte of it was checked.

    Raises:
        StoreError: the folder is gone, of another format, or differs from its digest.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
        if hashlib.sha256(text).hexdigest() != digest:
            raise StoreError(f"{folder}: its manifest differs from its digest; {_REMEDY}")
        manifest = json.loads(text)
        if manifest["format"] != FORMAT:
            raise StoreError(
                f"{folder}: format {manifest['format']}, this release has {FORMAT}; {_REMEDY}"
            )
        for name, expected in manifest["files"].items():
            if _sha256(folder / name) != expected:
                raise StoreError(f"{folder / name} differs from its digest; {_REMEDY}")
    except OSError as error:
        where, why = error.filename or folder, error.strerror or error
        raise StoreError(f"{where}: cannot be read: {why}; {_REMEDY}") from None
    facts: dict[str, Any] = manifest["facts"]
    return facts


def save_arrays(folder: Path, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """One `.npy` file each."""
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load_array(folder: Path, name: str) -> npt.NDArray[Any]:
    """An array by name, mapped, so that processes share it."""
    array: npt.NDArray[Any] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return array


def _files(folder: Path) -> list[Path]:
    """What was written; tantivy's lock files are hidden and come and go."""
    hidden = (".tantivy-meta.lock", ".tantivy-writer.lock", MANIFEST)
    return sorted(f for f in folder.rglob("*") if f.is_file() and f.name not in hidden)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
