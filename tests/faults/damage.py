"""`make damage`: the protocol's model with its mutants, and damage to the files of a real lake.

One seed picks the file, the place in it and the kind of damage. Each is injected into a copy of
the lake, counted as fired if the file differs, and then found by `doctor --deep`, or harmless,
which is to say that every table gives the same rows, or silent, which fails the run.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from random import Random

import duckdb

sys.path.insert(0, str(Path(__file__).parent))
from invariants import Lake
from model import GUARDED, Protocol, explore

from pipelines.io.doctor import examine
from pipelines.settings import Settings, load_settings

KINDS = ("a flipped bit", "a torn file", "a file that is gone")
PARTS = ("bronze", "silver", "gold", "_checkpoints")


def mutants_caught() -> tuple[int, int, int]:
    """States of the model, mutants, and those that were caught.

    Raises:
        AssertionError: the protocol itself fails.
    """
    whole = explore(Protocol())
    if whole.said:
        raise AssertionError(f"{whole.said}: {' -> '.join(whole.path)}")
    rules = [one.name for one in fields(Protocol)]
    off = [{rule, GUARDED.get(rule, rule)} for rule in rules]
    caught = sum(bool(explore(replace(Protocol(), **dict.fromkeys(o, False))).said) for o in off)
    return whole.states, len(rules), caught


def fingerprints(root: Path) -> dict[str, tuple[object, ...]]:
    """Of every table the number of its rows and a sum over them that any changed value changes."""
    lake = Lake(root)
    lake.open()
    found = {}
    for name in lake.tables:
        if lake.has(name):
            view = name.replace(".", "__")
            sql = (
                "SELECT count(*), sum(CAST(hash(CAST(COLUMNS(* EXCLUDE (its_file, file_row_number))"
                f" AS VARCHAR)) AS HUGEINT)) FROM {view}"
            )
            found[name] = lake.ask(sql)[0]
    return found


def victims(root: Path) -> list[Path]:
    """Files whose damage must not pass: live data, the newest commits, the checkpoints."""
    lake = Lake(root)
    found = [root / n.replace(".", "/") / path for n in lake.tables for path in lake.sizes(n)]
    for name, table in lake.tables.items():
        log = root / name.replace(".", "/") / "_delta_log"
        found += [f for f in log.glob("*.json") if f.name == f"{table.version():020}.json"]
    for part in ("offsets", "commits"):
        found += [f for f in root.glob(f"_checkpoints/*/{part}/*") if f.name.isdigit()]
    found += root.glob("_checkpoints/*/metadata")
    return sorted(file for file in found if file.stat().st_size)


@contextmanager
def damaged(file: Path, kind: str, draw: Random) -> Iterator[bool]:
    """The file with damage; whether it differs. The copy shares its files, so it is replaced."""
    whole = file.read_bytes()
    torn = bytearray(whole)
    if kind == "a flipped bit":
        torn[draw.randrange(len(torn))] ^= 1 << draw.randrange(8)
    elif kind == "a torn file":
        del torn[draw.randrange(len(torn)) :]
    aside = file.with_name(f"{file.name}.aside")
    file.replace(aside)
    try:
        if kind != "a file that is gone":
            file.write_bytes(torn)
        yield not file.exists() or file.read_bytes() != whole
    finally:
        aside.replace(file)


def outcome(settings: Settings, before: dict[str, tuple[object, ...]]) -> str:
    if not examine(settings, reads_all=True).is_sound:
        return "detected"
    try:
        return "harmless" if fingerprints(Path(settings.root)) == before else "silent"
    except duckdb.Error:
        return "detected"


@dataclass
class Damage:
    """How many faults were injected and fired, what became of them, and seconds to find each."""

    injected: int = 0
    fired: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


def damage(lake: Path, seed: int, faults: int) -> Damage:
    """Damage a copy of a lake that nobody writes to, one file at a time."""
    draw, found = Random(seed), Damage()
    with tempfile.TemporaryDirectory(prefix="faults-", dir=lake.parent) as scratch:
        root = Path(scratch) / "lake"
        for part in PARTS:
            if (lake / part).is_dir():
                shutil.copytree(lake / part, root / part, copy_function=os.link)
        (root / "_state").mkdir()
        shutil.copy(lake / "_state" / "lake.json", root / "_state")
        settings, files = load_settings(overrides={"root": str(root)}), victims(root)
        before = fingerprints(root)
        for number in range(faults):
            kind, file = KINDS[number % len(KINDS)], draw.choice(files)
            with damaged(file, kind, draw) as has_fired:
                begun = time.monotonic()
                what = outcome(settings, before)
                found.seconds.append(time.monotonic() - begun)
            found.injected, found.fired = found.injected + 1, found.fired + has_fired
            found.outcomes[what] += 1
            if what == "silent":
                found.silent.append(f"silent: {kind} in {file.relative_to(root)}")
    return found


def main() -> int:
    """Run; 0 only if everything fired and nothing was silent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", default="lake", help="a lake that nobody writes to; it is copied")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--faults", type=int, default=60)
    given = parser.parse_args()
    states, rules, caught = mutants_caught()
    found = damage(Path(given.root), given.seed, given.faults)
    for line in found.silent:
        sys.stdout.write(line + "\n")
    p95 = sorted(found.seconds)[int(len(found.seconds) * 0.95)]
    counts = found.outcomes
    sys.stdout.write(
        f"damage: {len(KINDS)} kinds, {given.faults} injected, {found.fired} fired | "
        f"detected {counts['detected']}, harmless {counts['harmless']} | "
        f"silent corruptions {counts['silent']}/{given.faults} | model {states:,} states, "
        f"mutants {caught}/{rules} caught | found in p50 {statistics.median(found.seconds):.2f} s "
        f"p95 {p95:.2f} s | seed {given.seed}\n"
    )
    return 0 if found.fired == given.faults and not found.silent and caught == rules else 1


if __name__ == "__main__":
    sys.exit(main())
