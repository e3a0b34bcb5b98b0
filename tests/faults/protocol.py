"""What must hold of logs, checkpoints and ledgers: I6 to I9."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deltalake import DeltaTable
from invariants import Lake, i8_files_are_there

UPKEEP = ("OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "SET TBLPROPERTIES", "CLUSTER BY")


def commits(folder: Path) -> dict[int, list[dict[str, Any]]]:
    """Version -> actions, of the log entries that are there."""
    found = {}
    for entry in sorted((folder / "_delta_log").glob("*.json")):
        if entry.stem.isdigit():
            lines = entry.read_text().splitlines()
            found[int(entry.stem)] = [json.loads(line) for line in lines if line]
    return found


def info_of(actions: list[dict[str, Any]]) -> dict[str, Any]:
    return next((one["commitInfo"] for one in actions if "commitInfo" in one), {})


def records(lake: Lake, view: str) -> dict[int, dict[str, int]]:
    """Version of a view -> versions of its sources that its commit says it shows."""
    found = {}
    for version, actions in commits(lake.root / "gold" / view).items():
        said = info_of(actions).get("userMetadata")
        if said and info_of(actions).get("operation") not in UPKEEP:
            found[version] = json.loads(said)["sources"]
    return found


def i6_refreshes_leave_no_gap(lake: Lake, views: list[str]) -> Iterator[str]:
    """Each commit of a view is in the ledger once, and goes on from where the last one ended."""
    if not lake.has("gold.refreshes"):
        return
    rows = lake.ask(
        "SELECT view, view_version, from_versions, to_versions FROM gold__refreshes "
        "ORDER BY view, view_version"
    )
    for view in views:
        made = records(lake, view)
        of = [(int(str(n)), a, b) for name, n, a, b in rows if name == f"gold.{view}"]
        if sorted(made) != [version for version, _, _ in of]:
            lacks = sorted(set(made) - {version for version, _, _ in of})
            yield f"I6: gold.refreshes lacks {len(lacks)} refreshes of {view}: {lacks[:3]}"
            continue
        before: Any = None
        for version, start, end in of:
            if before is not None and start and start != before:
                yield f"I6: the refresh of {view} at {version} goes on from {start}, not {before}"
            if before is not None and any(end[name] < before[name] for name in end):
                yield f"I6: the refresh of {view} at {version} went back"
            before = end


def i7_streams_fit_their_tables(lake: Lake) -> Iterator[str]:
    """The newest batch that a checkpoint has as done is the newest that its table took in."""
    for checkpoint in sorted((lake.root / "_checkpoints").glob("*/")):
        if not (checkpoint / "metadata").exists():
            continue
        stage = "silver" if checkpoint.name == "silver" else "bronze"
        table = "silver.batches" if stage == "silver" else "bronze.events"
        own = json.loads((checkpoint / "metadata").read_text())["id"]
        done = numbers(checkpoint / "commits")
        newest = applied(lake.root, table, f"{stage}-{own}")
        if newest != max(done, default=-1):
            yield f"I7: {checkpoint.name} is at batch {max(done, default=-1)}, {table} at {newest}"


def numbers(folder: Path) -> list[int]:
    """Files of a checkpoint's log, by number."""
    names = (file.name for file in folder.iterdir()) if folder.is_dir() else ()
    return sorted(int(name) for name in names if name.isdigit())


def applied(root: Path, table: str, application: str) -> int:
    """The newest batch that a table's log has of an application; -1 if it has none."""
    folder = root / table.replace(".", "/")
    if not (folder / "_delta_log").is_dir():
        return -1
    found = DeltaTable(str(folder)).transaction_version(application)
    return -1 if found is None else int(found)


def i8_checksums_hold(lake: Lake) -> Iterator[str]:
    """Files as the log has them, as many and as large as the newest checksum says."""
    yield from i8_files_are_there(lake)
    for name, table in lake.tables.items():
        sums = lake.root / name.replace(".", "/") / "_delta_log" / f"{table.version():020}.crc"
        if sums.exists():
            said, sizes = json.loads(sums.read_text()), lake.sizes(name)
            if (said["numFiles"], said["tableSizeBytes"]) != (len(sizes), sum(sizes.values())):
                yield f"I8: {sums.name} of {name} is not what its log adds up to"


def i9_every_version_is_whole(lake: Lake, seen: dict[int, tuple[int, int]]) -> Iterator[str]:
    """What a reader saw of gold.sales_hourly is the money of the version of silver it names.

    Args:
        seen: version -> cents and product lines that were read while faults were injected.
    """
    made = records(lake, "sales_hourly")
    for version, found in seen.items():
        sources = next((made[v] for v in sorted(made, reverse=True) if v <= version), None)
        if sources is None:
            continue
        silver = lake.show_version("silver.purchases", sources["silver.purchases"])
        ((cents, rows),) = lake.ask(f"SELECT sum(amount_cents), count(*) FROM {silver}")
        if found != (cents, rows):
            yield f"I9: version {version} of gold.sales_hourly showed {found}, not {cents, rows}"
