"""What commands say: JSON for programs, lines for people, progress on standard error."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from pipelines.console import Progress, show, table


@dataclass(frozen=True)
class Found:
    rows: int
    at: datetime


def test_json_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = Found(3, datetime(2017, 3, 1, tzinfo=UTC))
    result = {
        "found": found,
        "day": date(2017, 3, 1),
        "money": Decimal("1.50"),
        "path": Path("/lake"),
        "bytes": b"\xffa",
    }
    show(result, as_json=True, text="for people")
    out, err = capsys.readouterr()
    assert out.count("\n") == 1 and err == ""
    assert json.loads(out) == {
        "found": {"rows": 3, "at": "2017-03-01T00:00:00+00:00"},
        "day": "2017-03-01",
        "money": "1.50",
        "path": "/lake",
        "bytes": "\ufffda",
    }


def test_what_has_no_json_form_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        show({"x": object()}, as_json=True)


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show({"x": 1}, as_json=False, text="3 rows")
    assert capsys.readouterr().out == "3 rows\n"


def test_cells_show_what_they_hold() -> None:
    made = table("t", ("name", "n", "x"), [("[red]", 1234, 1.25), (None, 5, 20000.0)])
    console = Console(width=60)
    with console.capture() as capture:
        console.print(made)
    lines = [line.split() for line in capture.get().splitlines()]
    assert ["[red]", "│", "1,234", "│", "1.2"] in lines
    assert ["│", "5", "│", "20,000.0"] in lines


def test_progress_names_each_stage_with_its_total(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.of("bronze", 10)
    progress.of("bronze", 2500)
    progress.of("silver", 7)
    progress.note("done")
    progress.close()
    out, err = capsys.readouterr()
    lines = [" ".join(line.split()[:2]) for line in err.splitlines()]
    assert out == ""
    assert lines == ["bronze 2,500", "silver 7", "done"]
