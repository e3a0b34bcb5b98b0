"""What is wrong with a Delta table: its log, the files that the log names, what a view shows."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from pipelines.io.findings import Finding
from pipelines.io.read import UPKEEP

_OF_THE_FEED = ("_change_type", "__is_cdc")  # MERGE leaves them in files of a table with a feed
_NAMED = 3  # files that a finding names; the rest is counted


@dataclass(frozen=True)
class Opened:
    """A table whose log could be read."""

    path: Path
    table: DeltaTable

    @property
    def version(self) -> int:
        return int(self.table.version())

    @property
    def table_id(self) -> str:
        return str(self.table.metadata().id)

    @cached_property
    def files(self) -> Mapping[str, int]:
        """Live files -> size in bytes, by the log."""
        actions = pa.table(self.table.get_add_actions(flatten=True)).to_pylist()
        return {unquote(one["path"]): one["size_bytes"] for one in actions}

    @property
    def file_count(self) -> int:
        return len(self.files)

    def applied(self, application: str) -> int:
        """The newest batch of an application that the table took in; -1 if none."""
        found = self.table.transaction_version(application)
        return -1 if found is None else int(found)

    def record(self) -> dict[str, Any]:
        """What the newest commit that changed rows says of itself."""
        for commit in self.table.history():
            if commit.get("operation") not in UPKEEP:
                try:
                    found = json.loads(commit.get("userMetadata") or "")
                except ValueError:
                    return {}
                return found if isinstance(found, dict) else {}
        return {}


def check_log(name: str, path: Path) -> Iterator[Finding]:
    """Whether the log has no gap from its newest checkpoint on."""
    log = path / "_delta_log"
    names = [file.name for file in log.glob("*")] if log.is_dir() else []
    commits = {int(n[:20]) for n in names if n[:20].isdigit() and n[20:] == ".json"}
    checkpoints = {int(n[:20]) for n in names if n[:20].isdigit() and ".checkpoint" in n}
    if not commits and not checkpoints:
        yield Finding(name, "its folder has no log", _from_backup(name))
        return
    first, last = max(checkpoints, default=0), max(commits | checkpoints)
    lacking = sorted(set(range(first + bool(checkpoints), last + 1)) - commits)
    if lacking:
        versions = ", ".join(map(str, lacking[:_NAMED]))
        said = f"its log has a gap: version {versions} of {last} is missing"
        yield Finding(name, said, _from_backup(name))


def check_table(name: str, opened: Opened) -> Iterator[Finding]:
    """Whether every live file is there with the size that the log gives."""
    absent = [file for file in opened.files if not (opened.path / file).is_file()]
    if absent:
        yield Finding(name, f"missing: {_some(absent)}", _rebuild(name))
    torn = [
        file
        for file, size in opened.files.items()
        if file not in absent and (opened.path / file).stat().st_size != size
    ]
    if torn:
        yield Finding(name, f"not of the size that the log gives: {_some(torn)}", _rebuild(name))
    yield from _sums(name, opened)
    features = opened.table.protocol().reader_features or ()
    if "deletionVectors" in features and not absent:
        try:
            for _ in opened.table.deletion_vectors():
                pass
        except (DeltaError, OSError) as error:
            said = (str(error).splitlines() or ["unknown"])[0]
            yield Finding(name, f"a deletion vector cannot be read: {said[:160]}", _rebuild(name))


def check_bytes(name: str, opened: Opened) -> Iterator[Finding]:
    """Read every live file and compare its pages with the checksums that Spark wrote with them."""
    columns = {*_OF_THE_FEED, *(field.name for field in opened.table.schema().fields)}
    damaged = [file for file in opened.files if not _is_whole(opened.path / file, columns)]
    if damaged:
        yield Finding(name, f"damaged: {_some(damaged)}", _rebuild(name))


def _is_whole(file: Path, columns: set[str]) -> bool:
    """Whether all of it can be read; the footer, of which nothing is a checksum, names columns."""
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as whole:
            if not set(whole.schema_arrow.names) <= columns:
                return False
            for _ in whole.iter_batches():
                pass
    except FileNotFoundError:
        return True  # that has been said
    except (pa.ArrowException, OSError):
        return False
    return True


def _sums(name: str, opened: Opened) -> Iterator[Finding]:
    """The log against the version checksum that Delta keeps beside each commit."""
    file = opened.path / "_delta_log" / f"{opened.version:020}.crc"
    try:
        said = json.loads(file.read_bytes())
        wanted = (int(said["numFiles"]), int(said["tableSizeBytes"]))
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        wanted = (-1, -1)
    found = (opened.file_count, sum(opened.files.values()))
    if found != wanted:
        said = f"its log gives {found[0]} files of {found[1]} bytes, its checksum another sum"
        yield Finding(name, said, _from_backup(name))


def check_view(name: str, opened: Mapping[str, Opened]) -> Iterator[Finding]:
    """Whether a view shows versions that its sources have, and the newest ones."""
    record = opened[name].record()
    if not isinstance(record.get("sources"), dict):
        said = "its newest commit does not say what it shows"
        yield Finding(name, said, f"run `lakehouse refresh {name}`: it is computed anew")
        return
    for source, version in record["sources"].items():
        there = opened.get(source)
        if there is None:
            continue  # what is wrong with it has been said
        if record.get("tables", {}).get(source) not in (None, there.table_id):
            said = f"it shows another table of the name {source}"
            yield Finding(name, said, f"run `lakehouse refresh {name}`: it is computed anew")
        elif version > there.version:
            said = f"it shows version {version} of {source}, which is at {there.version}"
            repair = (
                f"{source} has lost commits: {_from_backup(source)}; else "
                f"`lakehouse refresh {name} --full`"
            )
            yield Finding(name, said, repair)
        elif version < there.version:
            said = f"{there.version - version} versions behind {source}"
            yield Finding(name, said, f"run `lakehouse refresh {name}`", is_note=True)


def _rebuild(name: str) -> str:
    if name.startswith("gold.") and name != "gold.recommendations":
        return f"run `lakehouse refresh {name} --full`: it is computed anew from its sources"
    return _from_backup(name)


def _from_backup(name: str) -> str:
    return f"put {name} back from a backup with its checkpoints (docs/backup.md); delete nothing"


def _some(files: list[str]) -> str:
    beyond = f" and {len(files) - _NAMED} more" if len(files) > _NAMED else ""
    return ", ".join(files[:_NAMED]) + beyond
