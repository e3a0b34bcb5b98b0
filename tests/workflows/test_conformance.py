"""Each line of docs/conformance.md is a test."""

import pytest
from conformance.table import DOCUMENT, all_cases, document

CASES = all_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.area}: {case.rule}")
def test_documented_rule_holds(case) -> None:  # type: ignore[no-untyped-def]
    case.check()


def test_document_lists_the_cases() -> None:
    assert DOCUMENT.read_text() == document(CASES)
    assert len({(case.area, case.rule) for case in CASES}) == len(CASES)
    assert sum(not case.unsupported for case in CASES) >= 120
