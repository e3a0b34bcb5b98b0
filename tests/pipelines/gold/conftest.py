"""Runs a gold view over rows that a test gives, under the names that its SQL uses."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from pipelines.registry import SILVER_EVENTS, VIEWS, views_in_order

Given = Mapping[str, Iterable[Mapping[str, Any]]]
ViewRows = Callable[[str, Given], DataFrame]


@pytest.fixture
def view_rows(spark: SparkSession, rows) -> ViewRows:
    """Rows of the view `name` over silver rows given by table; a table not given is empty.

    A view that it reads is made from the same rows by its own SQL.
    """
    views = {view.name: view for view in VIEWS}

    def run(name: str, given: Given) -> DataFrame:
        needed = {name}
        for view in reversed(views_in_order()):
            needed |= set(view.inputs) if view.name in needed else set()
        assert set(given) <= needed
        for table in SILVER_EVENTS:
            if table.name in needed:
                rows(table, given.get(table.name, ())).createOrReplaceTempView(bound(table.name))
        for view in views_in_order(needed & set(views)):
            sql = view.sql
            for source in view.inputs:
                sql = sql.replace(source, bound(source))
            spark.sql(sql).createOrReplaceTempView(bound(view.name))
        return spark.table(bound(name))

    return run


def bound(name: str) -> str:
    return f"given_{name.replace('.', '_')}"
