"""What a silver table's checks refuse."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pyspark.sql import functions as F

from pipelines.table import Table


@pytest.fixture
def refused(rows) -> Callable[..., dict[str, list[str]]]:
    """Reasons per event_id of the given rows that break a check of the table `about` a column."""

    def run(
        table: Table, given: Sequence[dict[str, Any]], *, about: Sequence[str]
    ) -> dict[str, list[str]]:
        checks = [check for check in table.checks if check.arguments["column"] in about]
        assert {check.arguments["column"] for check in checks} == set(about)
        broken = [F.when(~F.expr(check.condition), check.reason) for check in checks]
        reasons = F.array_compact(F.array(*broken)).alias("reasons")
        found = rows(table, given).select("event_id", reasons).where(F.size("reasons") > 0)
        return {row["event_id"]: row["reasons"] for row in found.collect()}

    return run
