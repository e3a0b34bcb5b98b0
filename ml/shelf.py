"""Where the models and indexes stand that the API answers from: folders that never change."""

import contextlib
import shutil
from pathlib import Path

from pipelines.errors import ModelError
from serving.recommender.model import Model, load_model

KEPT = 2  # folders: the one that is served, and the last one, which an API may still read


def shelve(models: Path, name: str, model: Model, digest: str) -> None:
    """Let a folder hold the model, whole or not at all.

    One that does already is left alone: the API has its files mapped into memory, and a process
    dies that reads from a mapped file while it is written anew. A damaged one is replaced.

    Args:
        digest: of the model, see `Model.save`.
    """
    folder = models / name
    with contextlib.suppress(ModelError):
        load_model(folder, digest)
        return
    part = models / f"_{name}.part"
    for leftover in (part, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save(part)
    part.rename(folder)


def tidy(shelf: Path, current: str) -> None:
    """Delete all folders but the current one and the newest of the others."""
    others = [folder for folder in shelf.iterdir() if folder.name != current]
    newest_last = sorted(others, key=lambda folder: folder.stat().st_mtime)
    for old in newest_last[: len(newest_last) - (KEPT - 1)]:
        shutil.rmtree(old, ignore_errors=True)
