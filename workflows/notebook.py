"""Run notebooks in Databricks source format without a workspace.

`python -m workflows.notebook FILE --html OUT` runs one and writes its page.
"""

import argparse
import ast
import io
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from pipelines.errors import LakehouseError, NotebookError
from workflows.cells import Cell, CellResult, parse
from workflows.page import render_html, snapshot

__all__ = ["Cell", "CellResult", "parse", "render_html", "run"]

RUNNABLE = ("python", "sql", "md")


def run(path: Path, *, namespace: dict[str, Any]) -> list[CellResult]:
    """Run every cell, in one namespace.

    A cell displays what it prints, what it passes to `display`, and the value of its last
    expression. Of a Spark DataFrame the first rows are kept.

    Args:
        namespace: what the cells find there, e.g. `spark`; it keeps what they define. A `display`
            in it is called too.

    Raises:
        NotebookError: a cell is of a language that is not supported, and nothing has run; or a
            cell failed.
    """
    try:
        cells = parse(path.read_text(encoding="utf-8"), name=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise NotebookError(f"{path}: cannot be read: {_one_line(error)}") from None
    for cell in cells:
        if cell.kind not in RUNNABLE:
            raise NotebookError(
                f"{path}:{cell.line}: %{cell.kind} is not supported; use Python, %sql or %md"
            )
    outputs: list[Any] = []
    display = _recorder(outputs, namespace.get("display"))
    namespace.update(display=display)
    namespace.setdefault("__name__", "__main__")
    results = []
    for number, cell in enumerate(cells, 1):
        started = time.monotonic()
        outputs.clear()
        try:
            _run_cell(cell, namespace, outputs, display, str(path))
        except (Exception, SystemExit) as error:
            where = f"{path}:{_line_of(error, cell, str(path))}"
            raise NotebookError(f"{where}: cell {number} failed: {_one_line(error)}") from error
        results.append(CellResult(cell, tuple(outputs), time.monotonic() - started))
    return results


def _recorder(outputs: list[Any], also: Callable[..., Any] | None) -> Callable[..., None]:
    def display(value: Any, *args: Any, **kwargs: Any) -> None:
        outputs.append(snapshot(value))
        if also is not None:
            also(value, *args, **kwargs)

    return display


def _run_cell(
    cell: Cell,
    namespace: dict[str, Any],
    outputs: list[Any],
    display: Callable[..., None],
    name: str,
) -> None:
    if cell.kind == "sql":
        if "spark" not in namespace:
            raise NameError("%sql needs a session called 'spark'; create it in a cell before")
        # As in a workspace, the next cell finds the result under this name.
        namespace["_sqldf"] = namespace["spark"].sql(cell.source.strip())
        display(namespace["_sqldf"])
    elif cell.kind == "python":
        printed = _Printed(outputs)
        with redirect_stdout(printed):
            _run_python(cell, namespace, display, name)


class _Printed(io.TextIOBase):
    """Standard output as outputs, in its place among what is displayed."""

    def __init__(self, outputs: list[Any]) -> None:
        self._outputs = outputs

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._outputs and isinstance(self._outputs[-1], str):
            self._outputs[-1] += text
        else:
            self._outputs.append(text)
        return len(text)


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


def main(arguments: list[str] | None = None) -> int:
    """Run a notebook and write its page; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m workflows.notebook",
        description="Run a notebook in Databricks source format.",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--html", type=Path, help="where to write the page")
    options = parser.parse_args(arguments)
    try:
        results = run(options.file, namespace={})
    except LakehouseError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if options.html:
        options.html.write_text(render_html(results, options.file.stem), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
