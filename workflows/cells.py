"""The cells of a notebook: Databricks source format, in Python or SQL, or a Jupyter file.

In source format the cells are parted by `# COMMAND ----------`. A cell of another language stands
in comments that begin with `# MAGIC`, its language first: `# MAGIC %md`. In SQL, `--` stands for #.
"""

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipelines.errors import NotebookError

HEADER = "# Databricks notebook source"
TITLE = re.compile(r"(?:#|--|//) DBTITLE \d+,(.*)")
# Of each language that a notebook's file may be in: how its comments begin.
COMMENTS = {".py": "#", ".sql": "--"}
LANGUAGES = {".py": "python", ".sql": "sql"}
JUPYTER = ".ipynb"
MAGIC_LINE = re.compile(r"%([\w-]+)[ \t]*\n?")


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        kind: its language: `python`, `sql`, `md`, or the magic's name, such as `pip`.
        line: where its source begins in the file.
    """

    kind: str
    source: str
    title: str
    line: int


@dataclass(frozen=True)
class CellResult:
    """A cell that has run.

    Attributes:
        outputs: what it displayed, in order: texts, pandas DataFrames, `Svg` charts, other objects.
    """

    cell: Cell
    outputs: tuple[Any, ...]
    seconds: float


def parse(text: str, *, name: str = "notebook.py") -> list[Cell]:
    """The cells of a notebook, without the empty ones.

    Args:
        name: the file's name, for errors; its ending says the format.

    Raises:
        NotebookError: it is not in a known format, or a cell mixes `# MAGIC` and code.
    """
    ending = "." + name.rpartition(".")[2]
    if ending == JUPYTER:
        return _jupyter(text, name)
    comment = COMMENTS.get(ending, "#")
    header = f"{comment} Databricks notebook source"
    separator = re.compile(rf"{comment} COMMAND -{{5,}}\s*")
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != header:
        raise NotebookError(f"{name}:1: not a Databricks notebook; begin it with '{header}'")
    starts = [0, *(n for n, line in enumerate(lines) if separator.fullmatch(line)), len(lines)]
    language = LANGUAGES.get(ending, "python")
    cells = (
        _cell(lines[start + 1 : end], start + 2, name, comment, language)
        for start, end in pairwise(starts)
    )
    return [cell for cell in cells if cell is not None]


def _jupyter(text: str, name: str) -> list[Cell]:
    """The cells of an ipynb file; a line is counted within all the cells' sources."""
    try:
        document = json.loads(text)
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in document["cells"]]
    except (ValueError, KeyError, TypeError):
        raise NotebookError(f"{name}:1: not a Jupyter notebook; save it anew") from None
    cells: list[Cell] = []
    line = 1
    for kind, source in sources:
        if kind == "markdown":
            cells.append(Cell("md", source, "", line))
        elif kind == "code" and source.strip():
            marked = MAGIC_LINE.match(source)
            if marked:
                cells.append(_magic(source, "", line, name))
            else:
                cells.append(Cell("python", source, "", line))
        line += source.count("\n") + 1
    return cells


def _cell(lines: list[str], first_line: int, name: str, comment: str, language: str) -> Cell | None:
    title = ""
    body: list[tuple[int, str]] = []
    for number, line in enumerate(lines, first_line):
        titled = TITLE.fullmatch(line)
        if titled and not any(text.strip() for _, text in body):
            title = titled[1].strip()
        else:
            body.append((number, line))
    while body and not body[0][1].strip():
        body.pop(0)
    while body and not body[-1][1].strip():
        body.pop()
    if not body:
        return None
    first = body[0][0]
    prefix = re.compile(rf"{comment} MAGIC ?")
    magic = [bool(prefix.match(line)) for _, line in body]
    if not any(magic):
        return Cell(language, "\n".join(line for _, line in body), title, first)
    for (number, line), is_magic in zip(body, magic, strict=True):
        if not is_magic and line.strip():
            raise NotebookError(
                f"{name}:{number}: a cell holds both '{comment} MAGIC' and other lines; part them "
                f"with '{comment} COMMAND ----------'"
            )
    source = "\n".join(prefix.sub("", line, count=1) for _, line in body)
    return _magic(source, title, first, name)


def _magic(source: str, title: str, first: int, name: str) -> Cell:
    """A cell that says its language: `%md`, `%sql`, `%run PATH` and so on."""
    marked = MAGIC_LINE.match(source)
    if not marked:
        raise NotebookError(
            f"{name}:{first}: a '# MAGIC' cell must begin with its language, as %md"
        )
    kind = {"md-sandbox": "md", "py": "python"}.get(marked[1], marked[1])
    # The language's line may hold source too; keep every line where it is.
    ends_line = marked[0].endswith("\n")
    return Cell(kind, source[marked.end() :], title, first + ends_line)
