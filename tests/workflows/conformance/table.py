"""The conformance table: `python tests/workflows/conformance/table.py` checks and counts the cases.

With `--write` it also writes docs/conformance.md.
"""

import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[3]), str(Path(__file__).resolve().parents[1])]

from conformance import bundle_cases, flow_cases, value_cases  # noqa: E402
from conformance.kit import Case  # noqa: E402

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"
INTRODUCTION = """\
# Conformance

What Databricks documents of jobs and bundles, and what `lakehouse run` and `lakehouse schedule`
make of it here. Each line is a test; `make conformance` checks all of them and counts. The pages
are where the rule is written; where they leave something open, the line says what happens here.
"Not run here" are features that are refused by name before anything starts, or left out with
`--skip-unsupported`; each of those lines checks the refusal. This file is written by
`python tests/workflows/conformance/table.py --write`.
"""


def all_cases() -> list[Case]:
    """Every case, area by area."""
    found = [*flow_cases.cases(), *bundle_cases.cases(), *value_cases.cases()]
    areas = list(dict.fromkeys(case.area for case in found))
    return sorted(found, key=lambda case: areas.index(case.area))


def document(cases: Iterable[Case]) -> str:
    """docs/conformance.md."""
    parts = [INTRODUCTION]
    number = 0
    for area, group in groupby(cases, key=lambda case: case.area):
        lines = [f"\n## {area}\n", "| # | rule and result | page |", "| --- | --- | --- |"]
        for case in group:
            number += 1
            rule = case.rule.replace("|", "\\|")
            lines.append(f"| {number} | {rule} | [{case.page.rsplit('/', 1)[-1]}]({case.page}) |")
        parts.append("\n".join(lines) + "\n")
    return "".join(parts)


def main() -> int:
    """Check every case; the last line counts."""
    cases = all_cases()
    if "--write" in sys.argv:
        DOCUMENT.write_text(document(cases), encoding="utf-8")
    failed = 0
    for case in cases:
        try:
            case.check()
        except Exception as error:
            failed += 1
            sys.stdout.write(f"{case.area}: {case.rule}: {type(error).__name__} {error}\n")
    unsupported = sum(case.unsupported for case in cases)
    passed = len(cases) - failed - unsupported
    sys.stdout.write(f"conformance passed={passed} failed={failed} unsupported={unsupported}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
