"""A question in SQL, read without a session: one SELECT over tables that are granted."""

import sqlglot.errors
from sqlglot import exp

from pipelines.errors import QueryError, ViewError
from pipelines.io.granted import check_granted
from pipelines.registry import NAMES
from pipelines.settings_sections import QuerySettings
from pipelines.view import parse_select


def parse_query(sql: str, allowed: QuerySettings) -> exp.Query:
    """The SELECT over tables such as `gold.sales_hourly`.

    Raises:
        QueryError: it is not one SELECT, does more than read, or names a table that is unknown or
            not granted.
    """
    try:
        select = parse_select(sql, "query")
    except (ViewError, sqlglot.errors.SqlglotError) as error:
        raise QueryError(str(error)) from None
    check_granted(select, NAMES, allowed.tables)
    return select
