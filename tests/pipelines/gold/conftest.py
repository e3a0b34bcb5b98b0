"""Runs a gold view over rows that a test gives, under the names that its SQL uses."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from pipelines.registry import SILVER_EVENTS, VIEWS

ViewRows = Callable[[str, Mapping[str, Iterable[Mapping[str, Any]]]], DataFrame]


@pytest.fixture
def view_rows(spark: SparkSession, rows) -> ViewRows:
    """Rows of the view `name` over silver rows given by table; a table not given is empty."""
    views = {view.name: view for view in VIEWS}
    tables = {table.name: table for table in SILVER_EVENTS}

    def run(name: str, given: Mapping[str, Iterable[Mapping[str, Any]]]) -> DataFrame:
        view = views[name]
        assert set(given) <= set(view.inputs)
        sql = view.sql
        for source in view.inputs:
            bound = f"given_{tables[source].short_name}"
            rows(tables[source], given.get(source, ())).createOrReplaceTempView(bound)
            sql = sql.replace(source, bound)
        return spark.sql(sql)

    return run
