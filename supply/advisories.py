"""The dated list of known vulnerabilities for audits without a network.

`python -m supply.advisories CHECKOUT` makes it from a clone of the PyPA advisory database
(github.com/pypa/advisory-database, CC-BY-4.0): every entry of a package of the lock or of this
environment, and the day of the clone's newest commit.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.version import InvalidVersion, Version
from ruamel.yaml import YAML

from supply.lock import normal, pinned

FILE = Path(__file__).with_name("advisories.json")


@dataclass(frozen=True)
class Advisory:
    """One entry.

    Attributes:
        ranges: `introduced` and, if there is one, `fixed` or `last_affected`, as OSV has them.
        versions: affected ones by name, where no range says it.
    """

    id: str
    package: str
    ranges: tuple[dict[str, str], ...]
    versions: tuple[str, ...]

    def affects(self, version: str) -> bool:
        """Whether it holds for a version; one that cannot be compared is taken to be affected."""
        try:
            return version in self.versions or any(
                _within(Version(version), r) for r in self.ranges
            )
        except InvalidVersion:
            return True


@dataclass(frozen=True)
class Advisories:
    """All that was known of the lock's packages on a day."""

    as_of: date
    packages: frozenset[str]
    entries: tuple[Advisory, ...]


def load(file: Path = FILE) -> Advisories:
    """The list of this repository."""
    told = json.loads(file.read_text("utf-8"))
    entries = (
        Advisory(one["id"], one["package"], tuple(one["ranges"]), tuple(one["versions"]))
        for one in told["entries"]
    )
    packages = frozenset(told["packages"])
    return Advisories(date.fromisoformat(told["as_of"]), packages, tuple(entries))


def _within(version: Version, said: dict[str, str]) -> bool:
    if version < Version(said.get("introduced", "0")):
        return False
    if "fixed" in said:
        return version < Version(said["fixed"])
    return "last_affected" not in said or version <= Version(said["last_affected"])


def _ranges(affected: dict[str, Any]) -> tuple[dict[str, str], ...]:
    found: list[dict[str, str]] = []
    for one in affected.get("ranges", ()):
        if one["type"] != "ECOSYSTEM":
            continue
        for event in one["events"]:
            if "introduced" in event:
                found.append({})
            found[-1].update({key: str(value) for key, value in event.items()})
    return tuple(found)


def _entries(text: str, packages: set[str]) -> list[Advisory]:
    told = YAML(typ="safe").load(text)
    if told.get("withdrawn"):
        return []
    found = []
    for affected in told["affected"]:
        name, ranges = normal(affected["package"]["name"]), _ranges(affected)
        versions = () if ranges else tuple(map(str, affected.get("versions", ())))
        if name in packages:
            found.append(Advisory(told["id"], name, ranges, versions))
    return found


def main(checkout: str) -> None:
    """Write the list anew."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", checkout, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    packages = set(pinned()) | {normal(one.name) for one in distributions()}
    files = git("ls-tree", "-r", "--name-only", "HEAD", "vulns").splitlines()
    wanted = [file for file in files if normal(Path(file).parent.name) in packages]
    entries = [one for file in wanted for one in _entries(git("show", f"HEAD:{file}"), packages)]
    told = {
        "source": "github.com/pypa/advisory-database " + git("rev-parse", "HEAD").strip(),
        "licence": "CC-BY-4.0, the Python Packaging Authority; shortened to names and versions",
        "as_of": git("log", "-1", "--format=%cs").strip(),
        "packages": sorted(packages),
        "entries": [asdict(one) for one in entries],
    }
    FILE.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
