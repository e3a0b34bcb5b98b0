"""A gold view: one Spark SQL SELECT in its own file, with its contract in the comments.

The file opens with the grain in one sentence and `-- key: value` lines; each output column is
followed by a comment that says what it is.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, ParseError, SqlglotError, TokenError
from sqlglot.optimizer.qualify import qualify
from sqlglot.schema import MappingSchema

from pipelines.errors import ViewError

_OPTIONS = ("key", "cluster by")
# What gives another value at another time, place or order of rows: such a view equals no
# recomputation. Spark's names, lower case; sqlglot has classes for some of them.
_UNSTABLE = {
    "any_value", "curdate", "current_catalog", "current_database", "current_date",
    "current_schema", "current_time", "current_timestamp", "current_timezone", "current_user",
    "first", "first_value", "input_file_block_length", "input_file_block_start",
    "input_file_name", "last", "last_value", "localtimestamp", "monotonically_increasing_id",
    "now", "rand", "randn", "random", "randstr", "session_user", "shuffle", "spark_partition_id",
    "uniform", "user", "uuid", "version",
}  # fmt: skip
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
        ViewError: the SQL does not parse, is not one SELECT, gives other rows at another time, or
            the contract is incomplete.
    """
    sql = path.read_text(encoding="utf-8")
    select = parse_select(sql, str(path))
    for line, what in unstable(sql, select):
        raise ViewError(
            f"{path}:{line}: {what} may give another value at the next run; use what the rows "
            "say, such as MAX(occurred_at)"
        )
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
    except TokenError:
        opened = _line_left_open(sql)
        raise ViewError(f"{where}:{opened}: not valid SQL: something is not closed") from None
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise ViewError(f"{where}: must be one SELECT statement")
    return statements[0]


def unstable(sql: str, select: exp.Query) -> Iterator[tuple[int, str]]:
    """Line and name of what may give other rows when the query runs again on the same rows."""
    names: set[str] = {"tablesample"} if select.find(exp.TableSample) else set()
    for call in select.find_all(exp.Func):
        if isinstance(call.parent, exp.Window | exp.IgnoreNulls):
            continue  # `FIRST(x) OVER (ORDER BY y)` says which is the first
        elif isinstance(call, exp.Anonymous):
            names |= {call.name.lower()} & _UNSTABLE
        else:
            names |= {name.lower() for name in call.sql_names()} & _UNSTABLE
    lines = {t.text.lower(): t.line for t in reversed(sqlglot.tokenize(sql, read="spark"))}
    # sqlglot reads these as one of CURRENT_DATE and CURRENT_TIMESTAMP, which the text may not name.
    written = (names | {"curdate", "unix_timestamp"}) & set(lines) if names else set()
    yield from sorted((lines[name], name) for name in written)


def check_columns(view: View, columns: Mapping[str, tuple[str, ...]]) -> None:
    """Resolve every column that a view names, without a session.

    Args:
        columns: of every table and view, by name.

    Raises:
        ViewError: a column that does not exist; names the line.
    """
    schema = MappingSchema(dialect="spark")
    for name in view.inputs:
        schema.add_table(name, dict.fromkeys(columns[name], "unknown"))
    select = parse_select(view.sql, str(view.path))
    try:
        qualify(select.copy(), dialect="spark", schema=schema)
    except OptimizeError as error:
        said = str(error)
        column = re.search(r"(?<=Column ')[^']+|(?<=Unknown column: )\S+|(?<=join: )\S+", said)
        if column is None:
            return  # SQL that is beyond this check: Spark says what it thinks of it
        named = (one for one in select.find_all(exp.Identifier) if one.name == column[0])
        line = re.search(r"(?<=Line: )\d+", said)
        place = line[0] if line else min((one.meta.get("line", 1) for one in named), default=1)
        known = ", ".join(view.inputs)
        raise ViewError(f"{view.path}:{place}: no column {column[0]} in {known}") from None
    except SqlglotError:
        return


def _line_left_open(sql: str) -> int:
    """The line of a quote or comment that is never closed: up to there the text can be read."""
    lines = sql.splitlines()
    for end in range(len(lines) - 1, 0, -1):
        with contextlib.suppress(TokenError):
            sqlglot.tokenize("\n".join(lines[:end]), read="spark")
            return end + 1
    return 1


def table_names(select: exp.Query) -> set[str]:
    """Names of the tables that a query reads, common table expressions aside."""
    own = {cte.alias.lower() for cte in select.find_all(exp.CTE)}
    named = (t for t in select.find_all(exp.Table) if isinstance(t.this, exp.Identifier))
    return {table_name(t) for t in named if t.db or t.name.lower() not in own}


def line_of_table(view: View, name: str) -> int:
    """The line on which a view first names a table."""
    tables = parse_select(view.sql, str(view.path)).find_all(exp.Table)
    lines = (table.this.meta.get("line", 1) for table in tables if table_name(table) == name)
    return min(lines, default=1)


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
