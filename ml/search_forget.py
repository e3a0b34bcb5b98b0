"""A customer's taste out of the published search index; the text and all other tastes stay."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from pipelines.settings import Settings
from serving.online import OnlineStore
from serving.search_files import MANIFEST, load_array, save_arrays, seal, verified
from serving.search_shelf import ENTRY, FOLDER, KIND

_OF_TASTES = ("taste_rows", "taste_baskets", "taste_recent")


def forget_tastes(settings: Settings, store: OnlineStore, people: tuple[str, ...]) -> int:
    """Publish the index without these customers and delete all others; returns how many had one.

    Raises:
        StoreError: the index differs from its digest.
    """
    shelf = settings.state / FOLDER
    published = store.get(KIND, ENTRY)
    if published is None or not shelf.is_dir():
        return 0
    folder = shelf / published.value["folder"]
    facts = verified(folder, published.value["digest"])
    customers = load_array(folder, "customers")
    gone = np.isin(customers, np.array([who.encode() for who in people]))
    if count := int(gone.sum()):
        now = datetime.now(UTC)
        name = f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
        digest = _without(folder, shelf / name, gone, facts)
        entry = {"folder": name, "digest": digest}
        store.publish(KIND, [(ENTRY, entry)], version=digest[:16], published_at=now)
        folder = shelf / name
    for other in shelf.iterdir():
        if other != folder:
            shutil.rmtree(other)
    return count


def _without(old: Path, new: Path, gone: np.ndarray, facts: dict[str, Any]) -> str:
    """A copy of an index without some customers, sealed; returns its digest."""
    shutil.copytree(old, new)
    (new / MANIFEST).unlink()
    starts = load_array(old, "taste_starts")
    counts = np.diff(starts)
    kept = np.repeat(~gone, counts)
    arrays = {name: load_array(old, name)[kept] for name in _OF_TASTES}
    arrays["customers"] = load_array(old, "customers")[~gone]
    arrays["taste_starts"] = np.concatenate([[0], np.cumsum(counts[~gone])]).astype(starts.dtype)
    save_arrays(new, arrays)
    return seal(new, facts)
