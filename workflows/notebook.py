"""Run notebooks without a workspace: Databricks source format, in Python or SQL, or Jupyter.

`python -m workflows.notebook FILE --html OUT` runs one and writes its page.
"""

import argparse
import ast
import json
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pipelines.errors import LakehouseError, NotebookError
from workflows.cells import Cell, CellResult, parse
from workflows.dbutils import DBUtils, NotebookExit, Secrets
from workflows.outputs import Outputs
from workflows.page import render_html
from workflows.task_files import NOTEBOOKS
from workflows.timer import time_limit

__all__ = ["Cell", "CellResult", "parse", "render_html", "run"]

RUNNABLE = ("python", "sql", "md", "run")
MAX_NESTED = 20
# Names that a workspace defines and that need a session.
SESSION_NAMES = {"spark": "spark", "sc": "sparkContext", "sqlContext": "spark"}


def run(
    path: Path, *, namespace: dict[str, Any], widgets: Mapping[str, str] | None = None
) -> list[CellResult]:
    """Run every cell, in one namespace.

    A cell displays what it prints, what it passes to `display`, and the value of its last
    expression. Of a Spark DataFrame the first rows are kept.

    Args:
        namespace: what the cells find there, e.g. `spark`; it keeps what they define. A `display`
            in it is called too.
        widgets: the values of the notebook's parameters.

    Raises:
        NotebookError: a cell is of a language that is not supported, and nothing has run; or a
            cell failed.
    """
    return NotebookRun(path, namespace, widgets or {}).run()


def cells_of(path: Path, depth: int = 0) -> list[Cell]:
    """The cells of a notebook, refused if one of them, or of those it includes, cannot run here."""
    if depth > MAX_NESTED:
        raise NotebookError(f"{path}: %run goes round in a circle; remove one")
    try:
        cells = parse(path.read_text(encoding="utf-8"), name=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise NotebookError(f"{path}: cannot be read: {_one_line(error)}") from None
    for cell in cells:
        if cell.kind not in RUNNABLE:
            raise NotebookError(
                f"{path}:{cell.line}: %{cell.kind} is not supported; use Python, %sql or %md"
            )
        if cell.kind == "run":
            cells_of(beside(path, cell.source.split(maxsplit=1)[0]), depth + 1)
    return cells


def beside(path: Path, name: str) -> Path:
    """The notebook that another names, with or without its ending."""
    target = path.parent / name.strip("\"'")
    found = (target.with_name(target.name + ending) for ending in ("", *NOTEBOOKS))
    return next((file for file in found if file.is_file()), target)


class NotebookRun:
    """One run of a notebook; `results` grows with every cell, `exit_value` is what it gave back.

    Args:
        session: makes the Spark session that a workspace has ready; None: the caller does.
    """

    def __init__(
        self,
        path: Path,
        namespace: dict[str, Any],
        widgets: Mapping[str, str],
        session: Callable[[], Any] | None = None,
    ) -> None:
        self._session = session
        self._path = path
        self._namespace = namespace
        self._outputs = Outputs(namespace.get("display"), Secrets().values())
        self.results: list[CellResult] = []
        self.exit_value = ""
        self.widgets = dict(widgets)

    def run(self) -> list[CellResult]:
        """Run every cell, and return what they displayed."""
        cells = cells_of(self._path)
        display: Callable[..., None] = self._outputs.display
        self._namespace.update(display=display, displayHTML=display)
        self._namespace.setdefault("__name__", "__main__")
        utilities = DBUtils(widgets=self.widgets, run=self._run_other)
        self._namespace.setdefault("dbutils", utilities)
        self._namespace.setdefault("getArgument", utilities.widgets.getArgument)
        self._open_session(cells)
        try:
            for number, cell in enumerate(cells, 1):
                self._run_cell(cell, number)
        except NotebookExit as ended:
            self.exit_value = ended.value
            self.results[-1] = CellResult(
                self.results[-1].cell, (*self.results[-1].outputs, f"exit: {ended.value}\n"), 0.0
            )
        return self.results

    def _open_session(self, cells: list[Cell]) -> None:
        """Make the session that a workspace has ready, if a cell needs it."""
        if self._session is None or "spark" in self._namespace:
            return
        wanted = {name for cell in cells if cell.kind == "python" for name in _loaded(cell)}
        if wanted & set(SESSION_NAMES) or any(cell.kind == "sql" for cell in cells):
            spark = self._session()
            self._namespace.update(spark=spark, sqlContext=spark, sc=spark.sparkContext)

    def _run_cell(self, cell: Cell, number: int) -> None:
        started = time.monotonic()
        self._outputs.clear()
        try:
            self._run_kind(cell)
        except (Exception, SystemExit) as error:
            where = f"{self._path}:{_line_of(error, cell, str(self._path))}"
            said = self._outputs.hidden(_one_line(error))
            self._keep(cell, started, f"{said}\n")
            raise NotebookError(f"{where}: cell {number} failed: {said}") from error
        except NotebookExit:
            self._keep(cell, started)
            raise
        self._keep(cell, started)

    def _keep(self, cell: Cell, started: float, *more: str) -> None:
        outputs = (*self._outputs.taken(), *more)
        self.results.append(CellResult(cell, outputs, time.monotonic() - started))

    def _run_kind(self, cell: Cell) -> None:
        if cell.kind == "sql":
            self._run_sql(cell)
        elif cell.kind == "python":
            with redirect_stdout(self._outputs.printed()):
                _run_python(cell, self._namespace, self._outputs.display, str(self._path))
        elif cell.kind == "run":
            name, *arguments = cell.source.split()
            given = dict(entry.lstrip("$").split("=", 1) for entry in arguments if "=" in entry)
            values = {key: value.strip("\"'") for key, value in given.items()}
            other = NotebookRun(beside(self._path, name), self._namespace, values)
            other.run()
            self._namespace["display"] = self._outputs.display

    def _run_sql(self, cell: Cell) -> None:
        from workflows.sql_file import run_statement, statements

        if "spark" not in self._namespace:
            raise NameError("%sql needs a session called 'spark'; create it in a cell before")
        values = self._namespace["dbutils"].widgets.getAll()
        for statement in statements(cell.source.strip()):
            # As in a workspace, the next cell finds the result under this name.
            self._namespace["_sqldf"] = run_statement(self._namespace["spark"], statement, values)
        self._outputs.display(self._namespace["_sqldf"])

    def _run_other(self, path: str, seconds: float, arguments: Mapping[str, str]) -> str:
        """`dbutils.notebook.run`: a namespace of its own, and the same session."""
        shared = {k: self._namespace[k] for k in SESSION_NAMES if k in self._namespace}
        other = NotebookRun(beside(self._path, path), shared, arguments)
        with time_limit(seconds):
            other.run()
        return other.exit_value


def _loaded(cell: Cell) -> set[str]:
    """The names that a cell reads; of one that does not parse, none."""
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:
        return set()
    return {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}


def _run_python(
    cell: Cell, namespace: dict[str, Any], display: Callable[..., None], name: str
) -> None:
    tree = ast.parse("\n" * (cell.line - 1) + cell.source, filename=name)
    last = tree.body[-1] if tree.body else None
    shown = None
    if isinstance(last, ast.Expr):
        tree.body.pop()
        shown = compile(ast.Expression(last.value), name, "eval")
    exec(compile(tree, name, "exec"), namespace)  # noqa: S102  running it is the purpose
    if shown is not None:
        value = eval(shown, namespace)  # noqa: S307  likewise
        if value is not None:
            display(value)


def _line_of(error: BaseException, cell: Cell, name: str) -> int:
    """The line of the notebook where a cell failed; where it begins, if that is not known."""
    if isinstance(error, SyntaxError) and error.filename == name and error.lineno:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == name and frame.lineno]
    return lines[-1] if lines else cell.line


def _one_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0].strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def main() -> None:
    """Run the notebook that the arguments name and write its page, also if it fails."""
    from workflows.spark import session

    parser = argparse.ArgumentParser(
        prog="python -m workflows.notebook", description="Run a notebook of Databricks or Jupyter."
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--html", type=Path, help="where to write the page")
    parser.add_argument("--widgets", default="{}", help="its parameters, a JSON object")
    options = parser.parse_args()
    notebook = NotebookRun(options.file, {}, json.loads(options.widgets), session)
    try:
        notebook.run()
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    finally:
        if options.html:
            page = render_html(notebook.results, options.file.stem)
            options.html.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
