"""A question in SQL, read without a session: one SELECT over tables that there are."""

import sqlglot.errors
from sqlglot import exp

from pipelines.errors import QueryError, ViewError
from pipelines.registry import NAMES
from pipelines.view import parse_select, table_names


def parse_query(sql: str) -> exp.Query:
    """The SELECT over tables such as `gold.sales_hourly`.

    Raises:
        QueryError: it is not one SELECT, or names an unknown table.
    """
    try:
        select = parse_select(sql, "query")
    except (ViewError, sqlglot.errors.SqlglotError) as error:
        raise QueryError(str(error)) from None
    for name in sorted(table_names(select) - set(NAMES)):
        raise QueryError(f"query: no table {name}; there are {', '.join(sorted(NAMES))}")
    return select
