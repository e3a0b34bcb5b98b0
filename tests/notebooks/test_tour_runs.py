"""The tour of the lake runs from end to end on real tables, and becomes a page."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipelines.settings import Settings
from workflows.notebook import parse, render_html, run

TOUR = Path(__file__).resolve().parents[2] / "notebooks" / "tour.py"


def test_every_cell_of_the_tour_runs_and_shows_something(
    spark: SparkSession, golden_lake: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LAKEHOUSE_ENV", "local")
    monkeypatch.setenv("LAKEHOUSE_ROOT", golden_lake.root)
    monkeypatch.syspath_prepend(str(tmp_path))  # restores sys.path, to which the tour appends
    results = run(TOUR, namespace={"spark": spark})

    assert len(results) == len(parse(TOUR.read_text(encoding="utf-8"), name=str(TOUR)))
    silent = [r.cell.title for r in results if r.cell.kind != "md" and not r.outputs]
    assert silent == ["The session"]
    page = render_html(results, "A tour of the lake")
    (tmp_path / "tour.html").write_text(page, encoding="utf-8")
    for result in results:
        if result.cell.title:
            assert f"<h3>{result.cell.title}</h3>" in page
    assert page.count("<svg") == 3
    assert page.count("<table") >= 5
    assert "silver.purchases" in page
