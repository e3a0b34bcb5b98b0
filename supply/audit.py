"""`make audit`: known vulnerabilities of what the lock installs; what was not looked at is one.

pip-audit asks PyPI's advisory service. Behind a mirror without one it skips every package and ends
with success, so its report is read here: a package that is skipped or absent fails the audit.
`--offline` looks into the dated list of this repository instead and says how old it is.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from supply.advisories import Advisories, load
from supply.lock import LOCK, normal, pinned


def online_findings(report: Mapping[str, Any], packages: Mapping[str, str]) -> list[str]:
    """What is wrong by a report of pip-audit: vulnerabilities, and packages not looked at."""
    found, looked_at = [], set()
    for one in report.get("dependencies", ()):
        name = normal(one["name"])
        if "skip_reason" in one:
            found.append(f"{name}: not looked at: {one['skip_reason']}")
        looked_at.add(name)
        for vulnerability in one.get("vulns", ()):
            fixed = ", ".join(vulnerability.get("fix_versions", ())) or "no release"
            found.append(f"{name} {one['version']}: {vulnerability['id']}, fixed in {fixed}")
    found += [f"{name}: not looked at" for name in sorted(set(packages) - looked_at)]
    return found


def offline_findings(
    advisories: Advisories, packages: Mapping[str, str], today: date, max_days: int | None
) -> list[str]:
    """What is wrong by the dated list: hits, packages that it does not cover, its age."""
    found = [
        f"{one.package} {packages[one.package]}: {one.id}"
        for one in advisories.entries
        if one.package in packages and one.affects(packages[one.package])
    ]
    unknown = sorted(set(packages) - advisories.packages)
    found += [f"{name}: not looked at: the list does not cover it" for name in unknown]
    age = (today - advisories.as_of).days
    if max_days is not None and age > max_days:
        found.append(f"the list is {age} days old, more than {max_days}; make it anew")
    return found


def _pip_audit() -> Mapping[str, Any]:
    """The report, or one without packages if there is none: then nothing was looked at."""
    command = [sys.executable, "-m", "pip_audit", "--strict", "--disable-pip", "--no-deps"]
    done = subprocess.run(
        [*command, "--require-hashes", "-r", str(LOCK), "-f", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
    )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        sys.stderr.write(f"pip-audit: {reason[0][:300]}\n")
        return {}
    return report if isinstance(report, dict) else {}


def main() -> int:
    """Audit the lock; 0 only if every package was looked at and none is vulnerable."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--offline", action="store_true", help="look into supply/advisories.json")
    parser.add_argument("--max-days", type=int, help="with --offline: an older list fails")
    given, packages = parser.parse_args(), pinned()
    if given.offline:
        advisories, today = load(), datetime.now(UTC).date()
        found = offline_findings(advisories, packages, today, given.max_days)
        where = f"the list of {advisories.as_of}, which says nothing of what was found since"
    else:
        found, where = online_findings(_pip_audit(), packages), "PyPI's advisories"
    for line in found:
        sys.stdout.write(f"{line}\n")
    result = f"{len(found)} findings" if found else "nothing known"
    sys.stdout.write(f"{len(packages)} packages, {where}: {result}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
