"""The strategy follows from the SQL and from how much has changed; no session is needed."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from histories import TABLES, view_of
from pyspark.sql.types import DoubleType, LongType, StructField, StructType

from pipelines.registry import TABLES as DECLARED
from pipelines.registry import VIEWS
from pipelines.views.choose import Size, Strategy, at_most, choose, key_columns, shape
from pipelines.views.normalise import normalise
from pipelines.views.touched import touched_columns

LARGE = Size(source_bytes=10**9, changed_bytes=10**6, view_rows=10**7)
COLUMNS = {name: [c.split()[0] for c in ddl.split(", ")] for name, ddl in TABLES.items()}
COLUMNS["t.sales"] = ["id", "item", "store", "at", "quantity", "price", "amount"]


def schema(*names: str, of: type[LongType | DoubleType] = LongType) -> StructType:
    return StructType([StructField(name, of(), nullable=True) for name in names])


SCHEMAS = {name: schema(*columns) for name, columns in COLUMNS.items()}


def strategy(
    folder: Path, sql: str, changed: str = "t.sales", size: Size = LARGE, of: type = LongType
) -> Strategy:
    """What is chosen for a view of which every column is stored, when one table has changed."""
    view = view_of(folder, "v", sql)
    found = shape(view, SCHEMAS)
    names = [*(n for n, _ in view.column_comments), "__rows", "__count_1", "__sum_2"]
    mentions = found.query.mentions if found.query else ()
    numbers = [n for n, name in enumerate(mentions) if name == changed]
    return choose(view, found, schema(*names, of=of), numbers, size)


@pytest.mark.parametrize(
    ("sql", "chosen"),
    [
        ("SELECT item, SUM(quantity) AS q FROM t.sales GROUP BY item", "totals"),
        ("SELECT item, AVG(price) AS p, COUNT(*) AS n FROM t.sales GROUP BY item", "totals"),
        ("SELECT item, MAX(price) AS p FROM t.sales GROUP BY item", "totals"),
        ("SELECT item, MAX_BY(price, id) AS p, MAX(id) AS i FROM t.sales GROUP BY item", "totals"),
        ("SELECT item, COUNT(DISTINCT store) AS n FROM t.sales GROUP BY item", "groups"),
        ("SELECT item, SUM(price) AS p FROM t.sales GROUP BY item HAVING SUM(price) > 1", "groups"),
        ("SELECT DISTINCT item FROM t.sales", "groups"),
        ("SELECT item, store FROM t.sales WHERE quantity > 1", "rows"),
        (
            "SELECT i.category AS category, SUM(s.price) AS p FROM t.sales s "
            "JOIN t.items i ON s.item = i.item GROUP BY i.category",
            "totals",
        ),
        ("SELECT SUM(price) AS p FROM t.sales", "full"),
        ("SELECT item FROM t.sales ORDER BY item LIMIT 3", "full"),
        ("SELECT item, RANK() OVER (ORDER BY price) AS r FROM t.sales", "full"),
        ("SELECT item FROM t.sales WHERE item IN (SELECT item FROM t.items)", "full"),
        ("SELECT item, price FROM t.sales INTERSECT SELECT item, weight FROM t.items", "full"),
    ],
)
def test_strategy_follows_from_the_sql(tmp_path: Path, sql: str, chosen: str) -> None:
    found = strategy(tmp_path, sql)
    assert (found.name, bool(found.reason)) == (chosen, True)


def test_sums_of_doubles_are_never_added_up_piece_by_piece(tmp_path: Path) -> None:
    sql = "SELECT item, SUM(price) AS p FROM t.sales GROUP BY item"
    found = strategy(tmp_path, sql, of=DoubleType)
    assert found.name == "groups"
    assert "depends on the order" in found.reason


def test_change_of_what_a_left_join_may_miss_is_recomputed_by_group(tmp_path: Path) -> None:
    sql = (
        "SELECT s.item AS item, COUNT(i.weight) AS n FROM t.sales s "
        "LEFT JOIN t.items i ON s.item = i.item GROUP BY s.item"
    )
    assert strategy(tmp_path, sql, "t.sales").name == "totals"
    assert strategy(tmp_path, sql, "t.items") == Strategy(
        "groups", "a join shows what is missing", ("item",)
    )


def test_most_of_the_sources_changed_means_a_recomputation(tmp_path: Path) -> None:
    sql = "SELECT item, SUM(quantity) AS q FROM t.sales GROUP BY item"
    most = Size(source_bytes=10**9, changed_bytes=6 * 10**8, view_rows=10**7)
    assert strategy(tmp_path, sql, size=most).name == "full"


def test_least_values_of_large_sources_are_recomputed_where_rows_may_have_gone(
    tmp_path: Path,
) -> None:
    sql = "SELECT item, MIN(price) AS p FROM t.sales GROUP BY item"
    assert strategy(tmp_path, sql).name == "totals"
    assert strategy(tmp_path, sql, size=replace(LARGE, removes=True)).name == "groups"
    small = replace(LARGE, removes=True, source_bytes=10**6)
    assert strategy(tmp_path, sql, size=small).name == "totals"


@pytest.mark.parametrize(
    ("chosen", "view_rows", "source_bytes", "most"),
    [
        ("totals", 100_000, 10**9, 1_000_000),
        ("totals", 10**7, 10**9, 3_000_000),
        ("groups", 100_000, 10**9, 70_000),
        ("groups", 10**7, 10**9, 3_000_000),
        ("groups", 100_000, 10**6, sys.maxsize),  # all is read in less than a second
    ],
)
def test_so_many_rows_may_be_touched_before_a_recomputation_is_less_work(
    chosen: str, view_rows: int, source_bytes: int, most: int
) -> None:
    assert at_most(chosen, Size(source_bytes, 10**6, view_rows)) == most


@pytest.mark.parametrize(
    ("sql", "changed", "columns"),
    [
        (
            "SELECT i.category AS category, CAST(s.at AS DATE) AS day, MAX(s.price) AS p "
            "FROM t.sales s JOIN t.items i ON s.item = i.item GROUP BY i.category, day",
            "t.items", ("category", "day"),
        ),
        (
            "SELECT i.category AS category, s.item AS item, MAX(s.price) AS p "
            "FROM t.sales s LEFT JOIN t.items i ON s.item = i.item GROUP BY i.category, s.item",
            "t.items", ("item",),
        ),
        (
            "WITH d AS (SELECT store, item, SUM(price) AS p FROM t.sales GROUP BY store, item) "
            "SELECT *, ROW_NUMBER() OVER (PARTITION BY store ORDER BY p) AS r FROM d",
            "t.sales", ("store",),
        ),
        (
            "SELECT store, MAX(item) AS item FROM t.sales GROUP BY store UNION ALL "
            "SELECT store, MAX(item) FROM t.returns GROUP BY store",
            "t.returns", ("store",),
        ),
        ("SELECT s.item AS item, MAX(s.price) AS p FROM t.sales s LEFT ANTI JOIN t.items i "
         "ON s.item = i.item GROUP BY s.item", "t.items", ("item",)),
    ],
)  # fmt: skip
def test_touched_rows_are_told_by_groups_partitions_and_what_joins_make_equal(
    tmp_path: Path, sql: str, changed: str, columns: tuple[str, ...]
) -> None:
    view = view_of(tmp_path, "v", sql)
    query = normalise(sql, "v", COLUMNS)
    mentions = [n for n, name in enumerate(query.mentions) if name == changed]
    assert key_columns(view, query, mentions) == columns


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_gold_view_has_a_normal_form(view: object) -> None:
    columns = {table.name: table.columns for table in DECLARED}
    columns |= {v.name: tuple(name for name, _ in v.column_comments) for v in VIEWS}
    query = normalise(view.sql, str(view.path), columns)
    assert set(query.mentions) == set(view.inputs)
    for mention in range(len(query.mentions)):
        assert set(touched_columns(query, mention)) <= set(query.columns)
