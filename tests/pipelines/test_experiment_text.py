"""`lakehouse experiment` tells what an experiment has shown, or why it has shown nothing yet."""

import json
from pathlib import Path
from typing import Any

import pytest
from given_gold import FLAG, REAL, SCHEMAS, TEXT, WHOLE, put, shop_lake

from pipelines.errors import LakeError, ModelError
from pipelines.model_commands import experiment
from pipelines.registry import VIEWS
from pipelines.settings import Settings

TABLE = "gold.experiment_results"
KINDS = {"experiment": TEXT, "arm": TEXT, "is_model_mixed": FLAG, "is_ratio_off": FLAG}


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (view,) = (view for view in VIEWS if view.name == TABLE)
    columns = [column for column, _ in view.column_comments]
    counts = {name: WHOLE for name in columns if name.endswith("_count") or name == "units"}
    kinds = {name: (KINDS | counts).get(name, REAL) for name in columns}
    monkeypatch.setitem(SCHEMAS, TABLE, kinds)
    return shop_lake(tmp_path / "lake")


def arm(name: str, share: float, **more: object) -> dict[str, Any]:
    figures = {
        f"{figure}{end}": share + off
        for figure in ("click_share", "buyer_share", "purchases_per_customer")
        for end, off in (("", 0.0), ("_low", -0.01), ("_high", 0.01))
    }
    counts = {"customer_count": 5000, "impression_count": 7000, "p_value": 0.4}
    return {"experiment": "spring", "arm": name, "is_model_mixed": False, "is_ratio_off": False,
            **counts, **figures, **more}  # fmt: skip


def told(lake: Settings, capsys: pytest.CaptureFixture[str], **options: Any) -> str:
    experiment("spring", "local", str(lake.root), as_json=options.get("as_json", False), stop=False)
    return " ".join(capsys.readouterr().out.split())


def test_differences_are_told_with_their_intervals(
    lake: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    put(
        lake,
        TABLE,
        [arm("champion", 0.1), arm("challenger", 0.2), arm("champion", 0.1, experiment="x")],
    )
    text = told(lake, capsys)
    assert "experiment spring is not served" in text and "0.2000 (0.1900 to 0.2100)" in text
    assert "customers who bought a listed item: +0.1000 with the challenger (+0.0859 to" in text
    assert "sizes are those intended (p = 0.4)" in text and "not more than noise" not in text
    found = json.loads(told(lake, capsys, as_json=True))
    assert [row["arm"] for row in found["arms"]] == ["challenger", "champion"]
    assert found["differences"][0]["figure"] == "click_share"


def test_where_the_ratio_is_off_no_difference_is_told(
    lake: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    off = {"is_ratio_off": True, "p_value": 1e-9, "is_model_mixed": True}
    put(lake, TABLE, [arm("champion", 0.1, **off), arm("challenger", 0.2, **off)])
    text = told(lake, capsys)
    assert "p = 1e-09" in text and "trust no figure" in text and "with the challenger" not in text


def test_what_there_is_not_yet_is_said(lake: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(LakeError, match="experiment_results"):
        told(lake, capsys)
    put(lake, TABLE, [arm("champion", 0.1, experiment="other")])
    assert "no list of it is in silver yet" in told(lake, capsys)
    with pytest.raises(ModelError, match=r"set experiment\.name"):
        experiment("", "local", str(lake.root), as_json=False, stop=False)
