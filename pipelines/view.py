"""A gold view: one Spark SQL SELECT in its own file, with its contract in the comments.

The file opens with the grain in one sentence and `-- key: value` lines; each output column is
followed by a comment that says what it is.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from pipelines.errors import ViewError

_OPTIONS = ("key", "cluster by")
GOLD_DIR = Path(__file__).resolve().parent / "gold"


@dataclass(frozen=True)
class View:
    """A materialized view.

    Attributes:
        name: `gold.<file name>`.
        comment: the grain, in one sentence.
        sql: the SELECT, as it stands in the file.
        inputs: names of the tables and views it reads, sorted.
        key: columns that are unique together.
        cluster_by: columns that questions filter on.
        column_comments: output column -> what it is, in order.
        path: where it is defined.
    """

    name: str
    comment: str
    sql: str
    inputs: tuple[str, ...]
    key: tuple[str, ...]
    cluster_by: tuple[str, ...]
    column_comments: tuple[tuple[str, str], ...]
    path: Path


def load_views(folder: Path) -> tuple[View, ...]:
    """Every view of a folder, by name."""
    return tuple(load_view(path) for path in sorted(folder.glob("*.sql")))


def load_view(path: Path) -> View:
    """Read one view.

    Raises:
        ViewError: the SQL does not parse, is not one SELECT, or the contract is incomplete.
    """
    sql = path.read_text(encoding="utf-8")
    select = parse_select(sql, str(path))
    header = _header(sql, path)
    comments = _column_comments(select)
    columns = [name for name, _ in comments]
    for name, comment in comments:
        if not comment:
            raise ViewError(f"{path}: column {name} has no comment; add one after it")
    for option in _OPTIONS:
        for column in header[option]:
            if column not in columns:
                raise ViewError(f"{path}: {option} names {column}, which the view does not return")
    return View(
        name=f"gold.{path.stem}",
        comment=header["comment"][0],
        sql=sql,
        inputs=tuple(sorted(table_names(select))),
        key=header["key"],
        cluster_by=header["cluster by"],
        column_comments=comments,
        path=path,
    )


def parse_select(sql: str, where: str) -> exp.Query:
    """The one SELECT that `sql` is.

    Raises:
        ViewError: it is anything else; names the line.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, read="spark") if s is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        line = f":{first['line']}" if first.get("line") else ""
        problem = first.get("description", "cannot be read").rstrip(".")
        near = f" near '{first['highlight']}'" if first.get("highlight") else ""
        raise ViewError(f"{where}{line}: not valid SQL: {problem}{near}") from None
    except TokenError as error:
        raise ViewError(f"{where}: not valid SQL: {error}".splitlines()[0]) from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ViewError(f"{where}: must be one SELECT statement")
    return statements[0]


def table_names(select: exp.Query) -> set[str]:
    """Names of the tables that a query reads, common table expressions aside."""
    own = {cte.alias for cte in select.find_all(exp.CTE)}
    tables = select.find_all(exp.Table)
    return {name for table in tables if (name := table_name(table)) not in own}


def table_name(table: exp.Table) -> str:
    """`layer.noun` as the query writes it."""
    return ".".join(part.name for part in table.parts)


def _header(sql: str, path: Path) -> dict[str, tuple[str, ...]]:
    lines = [line[2:].strip() for line in sql.splitlines() if line.startswith("--")]
    split: dict[str, tuple[str, ...]] = {}
    for option in _OPTIONS:
        values = [
            line.removeprefix(f"{option}: ") for line in lines if line.startswith(f"{option}: ")
        ]
        if len(values) != 1:
            raise ViewError(f"{path}:1: the header needs one line '-- {option}: column, column'")
        split[option] = tuple(re.split(r",\s*", values[0]))
    prose = [line for line in lines if not line.startswith(tuple(f"{o}: " for o in _OPTIONS))]
    if not prose:
        raise ViewError(f"{path}:1: the header must open with the grain in one sentence")
    return {**split, "comment": (" ".join(prose),)}


def _column_comments(select: exp.Query) -> tuple[tuple[str, str], ...]:
    return tuple(
        (column.alias_or_name, " ".join(c.strip() for c in column.comments or ()))
        for column in select.selects
    )
