import ast
from pathlib import Path

from workflows.notebook import parse

TOUR = Path(__file__).resolve().parents[2] / "notebooks" / "tour.py"


def test_tour_has_only_cells_that_run_here() -> None:
    cells = parse(TOUR.read_text(encoding="utf-8"), name=str(TOUR))
    assert {cell.kind for cell in cells} <= {"python", "sql", "md"}
    assert cells[0].kind == "md"


def test_tour_holds_no_logic() -> None:
    logic = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While)
    for node in ast.walk(ast.parse(TOUR.read_text(encoding="utf-8"))):
        assert not isinstance(node, logic), f"line {getattr(node, 'lineno', 0)}"
