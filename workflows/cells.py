"""The cells of a notebook in Databricks source format.

A notebook is a Python file whose cells are parted by `# COMMAND ----------`. A cell of another
language stands in comments that begin with `# MAGIC`, its language first: `# MAGIC %md`.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipelines.errors import NotebookError

HEADER = "# Databricks notebook source"
SEPARATOR = re.compile(r"# COMMAND -{5,}\s*")
MAGIC = re.compile(r"# MAGIC ?")
TITLE = re.compile(r"# DBTITLE \d+,(.*)")


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


def parse(text: str, *, name: str = "notebook") -> list[Cell]:
    """The cells of a notebook, without the empty ones.

    Args:
        name: the file's name, for errors.

    Raises:
        NotebookError: it is not in Databricks source format, or a cell mixes `# MAGIC` and code.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].rstrip() != HEADER:
        raise NotebookError(f"{name}:1: not a Databricks notebook; begin it with '{HEADER}'")
    starts = [0, *(n for n, line in enumerate(lines) if SEPARATOR.fullmatch(line)), len(lines)]
    cells = (_cell(lines[start + 1 : end], start + 2, name) for start, end in pairwise(starts))
    return [cell for cell in cells if cell is not None]


def _cell(lines: list[str], first_line: int, name: str) -> Cell | None:
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
    magic = [bool(MAGIC.match(line)) for _, line in body]
    if not any(magic):
        return Cell("python", "\n".join(line for _, line in body), title, first)
    for (number, line), is_magic in zip(body, magic, strict=True):
        if not is_magic and line.strip():
            raise NotebookError(
                f"{name}:{number}: a cell holds both '# MAGIC' and other lines; part them with "
                "'# COMMAND ----------'"
            )
    source = "\n".join(MAGIC.sub("", line, count=1) for _, line in body)
    marked = re.match(r"%([\w-]+)[ \t]*\n?", source)
    if not marked:
        raise NotebookError(
            f"{name}:{first}: a '# MAGIC' cell must begin with its language, as %md"
        )
    kind = {"md-sandbox": "md"}.get(marked[1], marked[1])
    # The language's line may hold source too; keep every line where it is.
    ends_line = marked[0].endswith("\n")
    return Cell(kind, source[marked.end() :], title, first + ends_line)
