"""What is wrong with the streams' checkpoints, by themselves and beside their tables."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipelines.bronze.events import EVENTS
from pipelines.io.checkpoints import SILVER, Numbers
from pipelines.io.doctor_tables import Opened
from pipelines.io.findings import Finding
from pipelines.io.lake import checkpoint_path
from pipelines.settings import Settings
from pipelines.silver.batches import BATCHES

_REPLACED = "replaced"  # where `--resume-from-bronze` puts old ones
_OF_BRONZE = "run `lakehouse ingest --resume-from-bronze`: it reads on after what bronze holds"
_OF_SILVER = "delete that folder and run `lakehouse ingest`: silver adds what it lacks"


def check_streams(settings: Settings, opened: Mapping[str, Opened]) -> Iterator[Finding]:
    """Every checkpoint of bronze and silver that the lake holds."""
    folder = Path(checkpoint_path(settings, SILVER)).parent
    if not folder.is_dir():
        if EVENTS.name in opened and opened[EVENTS.name].file_count:
            yield Finding(str(folder), "it is gone, and bronze holds events", _OF_BRONZE)
        return
    for path in sorted(folder.iterdir()):
        if path.name == SILVER:
            yield from _check(path, SILVER, BATCHES.name, _OF_SILVER, opened)
            yield from _check_source(path, opened)
        elif path.name.startswith("bronze-") and path.name != _REPLACED:
            yield from _check(path, "bronze", EVENTS.name, _OF_BRONZE, opened)


def _check(
    path: Path, stage: str, table: str, repair: str, opened: Mapping[str, Opened]
) -> Iterator[Finding]:
    numbers = Numbers(_numbers(path / "offsets"), _numbers(path / "commits"))
    if not numbers.begun and not numbers.done:
        return
    metadata = path / "metadata"
    missing = numbers.missing if metadata.is_file() else ["metadata"]
    if missing:
        yield Finding(str(path), f"a gap: {', '.join(missing)} is missing", repair)
        return
    empty = [
        f"{folder}/{file.name}"
        for folder in ("offsets", "commits")
        for file in sorted((path / folder).iterdir())
        if file.name.isdigit() and not file.read_bytes().startswith(b"v")
    ]
    if empty:
        yield Finding(str(path), f"damaged: {', '.join(empty[:3])}", repair)
        return
    try:
        found = json.loads(metadata.read_bytes())["id"]
    except (ValueError, KeyError, TypeError):
        yield Finding(str(path), "damaged: metadata", repair)
        return
    newest = opened[table].applied(f"{stage}-{found}") if table in opened else -1
    done = numbers.done[-1] if numbers.done else -1
    if not done <= newest <= numbers.begun[-1]:
        said = f"it is at batch {numbers.begun[-1]}, {table} at {newest}: they are not of one time"
        yield Finding(str(path), said, repair)
    elif done < numbers.begun[-1]:
        said = f"batch {numbers.begun[-1]} was begun and not finished"
        yield Finding(
            str(path), said, "run `lakehouse ingest`: it does it again, once", is_note=True
        )


def _check_source(path: Path, opened: Mapping[str, Opened]) -> Iterator[Finding]:
    """Whether silver has read versions of bronze that bronze has."""
    begun = _numbers(path / "offsets")
    if not begun or EVENTS.name not in opened:
        return
    bronze = opened[EVENTS.name]
    try:
        last = (path / "offsets" / str(begun[-1])).read_text("utf-8").splitlines()[-1]
        offset = json.loads(last)
        table_id, version = str(offset["reservoirId"]), int(offset["reservoirVersion"])
    except (ValueError, KeyError, TypeError, IndexError, OSError):
        yield Finding(str(path), f"damaged: offsets/{begun[-1]}", _OF_SILVER)
        return
    if table_id != bronze.table_id:
        yield Finding(str(path), f"it is of another {EVENTS.name}", _OF_SILVER)
    elif version > bronze.version + 1:  # the next one to read
        said = f"it has read version {version - 1} of {EVENTS.name}, which is at {bronze.version}"
        yield Finding(str(path), said, f"{EVENTS.name} has lost commits: put it back from a backup")


def _numbers(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(file.name) for file in folder.iterdir() if file.name.isdigit())
