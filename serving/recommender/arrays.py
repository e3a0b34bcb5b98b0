"""A folder of plain arrays with a digest of each: what a model is outside of MLflow and Spark."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ModelError

MANIFEST = "manifest.json"

Arrays = dict[str, NDArray[Any]]


def save_arrays(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> str:
    """Write each array to `<name>.npy` and the manifest last.

    Returns:
        The digest of the manifest, which stands for every byte of the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digests = {}
    for name, array in sorted(arrays.items()):
        path = folder / f"{name}.npy"
        np.save(path, array, allow_pickle=False)
        digests[name] = _digest(path)
    text = json.dumps({"format": 1, "sha256": digests}, indent=2, sort_keys=True)
    (folder / MANIFEST).write_text(text + "\n")
    return hashlib.sha256((text + "\n").encode()).hexdigest()


def load_arrays(folder: Path, digest: str | None = None) -> Arrays:
    """The arrays of a folder, mapped into memory, after every digest was compared.

    Nothing that is pickled is ever read.

    Args:
        digest: that the manifest must have, as `save_arrays` returned it; None: any.

    Raises:
        ModelError: the folder holds no model, a file is missing, or its bytes are others.
    """
    try:
        manifest = (folder / MANIFEST).read_bytes()
        wanted: dict[str, str] = dict(json.loads(manifest)["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ModelError(f"{folder}: no model there; run `lakehouse publish`") from None
    if digest is not None and hashlib.sha256(manifest).hexdigest() != digest:
        raise ModelError(f"{folder}: it is another model than published; run `lakehouse publish`")
    arrays: Arrays = {}
    for name, digest in wanted.items():
        path = folder / f"{name}.npy"
        if not path.is_file() or _digest(path) != digest:
            raise ModelError(
                f"{path}: its digest differs from the manifest's; run `lakehouse publish` again"
            )
        try:
            arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError:
            raise ModelError(f"{path}: it is not a plain array; train the model again") from None
    return arrays


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
