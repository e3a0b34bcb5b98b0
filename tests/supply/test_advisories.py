"""An audit that could not look fails, offline or not; a list says of which day it is."""

from datetime import date
from pathlib import Path

import pytest

from supply.advisories import Advisories, Advisory, load
from supply.audit import offline_findings, online_findings
from supply.lock import pinned

TODAY = date(2026, 1, 31)
MLFLOW = Advisory("PYSEC-1", "mlflow", ({"introduced": "0", "fixed": "2.10.1"},), ())


def known(*entries: Advisory, covers: str = "mlflow") -> Advisories:
    return Advisories(date(2026, 1, 1), frozenset({covers}), entries)


def test_every_package_of_the_lock_is_found_in_it() -> None:
    found = pinned()
    assert found["pyspark"] == "4.2.0"
    assert len(found) > 150


def test_the_shipped_list_is_dated_and_finds_an_old_release() -> None:
    shipped = load()
    assert shipped.as_of < date(2100, 1, 1)
    assert len(shipped.entries) > 50
    assert offline_findings(shipped, {"mlflow": "2.2.0"}, TODAY, None)


def test_a_package_that_was_looked_at_and_is_clean_passes() -> None:
    clean = {"dependencies": [{"name": "Typing_Extensions", "version": "1", "vulns": []}]}
    assert online_findings(clean, {"typing-extensions": "1"}) == []


@pytest.mark.parametrize(
    ("report", "says"),
    [
        ({}, "mlflow: not looked at"),
        ({"dependencies": []}, "mlflow: not looked at"),
        (
            {"dependencies": [{"name": "mlflow", "skip_reason": "not on PyPI"}]},
            "mlflow: not looked at: not on PyPI",
        ),
        (
            {
                "dependencies": [
                    {
                        "name": "mlflow",
                        "version": "2.2.0",
                        "vulns": [{"id": "CVE-1", "fix_versions": ["2.2.1"]}],
                    }
                ]
            },
            "mlflow 2.2.0: CVE-1, fixed in 2.2.1",
        ),
    ],
)
def test_what_was_skipped_is_a_failure_like_what_is_vulnerable(
    report: dict[str, object], says: str
) -> None:
    assert online_findings(report, {"mlflow": "2.2.0"}) == [says]


def test_offline_a_package_that_the_list_does_not_cover_is_a_failure() -> None:
    (found,) = offline_findings(known(covers="other"), {"mlflow": "3.0"}, TODAY, None)
    assert found == "mlflow: not looked at: the list does not cover it"


def test_a_list_that_is_too_old_fails_if_that_was_asked() -> None:
    assert offline_findings(known(), {"mlflow": "3.0"}, TODAY, 30) == []
    (found,) = offline_findings(known(), {"mlflow": "3.0"}, TODAY, 29)
    assert found == "the list is 30 days old, more than 29; make it anew"


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [("2.10.0", True), ("2.10.1", False), ("2.9", True), ("2.10.1rc1", True), ("odd", True)],
)
def test_a_range_ends_with_the_release_that_fixed_it(version: str, is_affected: bool) -> None:
    assert MLFLOW.affects(version) is is_affected


def test_a_range_may_be_open_or_end_with_the_last_affected() -> None:
    assert Advisory("A", "x", ({"introduced": "1.0"},), ()).affects("99")
    last = Advisory("A", "x", ({"introduced": "1.0", "last_affected": "1.5"},), ())
    assert (last.affects("1.5"), last.affects("1.6"), last.affects("0.9")) == (True, False, False)


def test_the_lock_is_pinned_by_hash() -> None:
    text = (Path(__file__).parents[2] / "requirements.lock").read_text("utf-8")
    assert all(f"\n{name}==" in f"\n{text}".replace("_", "-").lower() for name in pinned())
    assert text.count("--hash=sha256:") >= len(pinned())
