"""Everything fits together, and what does not is named."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipelines import registry
from pipelines.errors import RegistryError, ViewError
from pipelines.io.read import schema_of
from pipelines.registry import SILVER_EVENTS, TABLES, VIEWS, check, transformation, views_in_order
from pipelines.silver.items import ITEMS
from pipelines.table import Append, Overwrite, Table, Upsert
from pipelines.view import View

DRY_RUN = """
from pipelines import registry
registry.check()
from pyspark import SparkContext
from pyspark.sql import SparkSession
assert SparkContext._gateway is None, "a JVM was started"
assert SparkSession.getActiveSession() is None, "a session was started"
"""


def view(name: str, *inputs: str) -> View:
    return View(
        name=name,
        comment="One row.",
        sql=f"SELECT\n  1 AS a\nFROM {', '.join(inputs)}" if inputs else "SELECT 1 AS a",
        inputs=inputs,
        key=("a",),
        cluster_by=("a",),
        column_comments=(("a", "a"),),
        path=Path(f"{name}.sql"),
    )


def table(name: str, **fields: object) -> Table:
    return Table(name=name, comment="One row.", schema="    a INT COMMENT 'a'", **fields)  # type: ignore[arg-type]


def test_dry_run_needs_neither_data_nor_session() -> None:
    root = Path(registry.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", DRY_RUN], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_two_tables_of_one_name_are_refused() -> None:
    with pytest.raises(RegistryError, match=r"two tables are named silver\.a"):
        check([table("silver.a"), table("silver.a")], [])


def test_a_view_named_like_a_table_is_refused() -> None:
    with pytest.raises(RegistryError, match=r"two tables are named gold\.a"):
        check([table("gold.a")], [view("gold.a")])


def test_a_view_of_an_unknown_table_is_refused_with_its_file_and_line() -> None:
    with pytest.raises(RegistryError, match=r"gold\.v\.sql:3: reads silver\.nothing"):
        check([table("silver.a")], [view("gold.v", "silver.a", "silver.nothing")])


@pytest.mark.parametrize(
    "views",
    [
        [view("gold.a", "gold.a")],
        [view("gold.a", "gold.b"), view("gold.b", "gold.a")],
        [view("gold.a", "gold.b"), view("gold.b", "gold.c"), view("gold.c", "gold.b")],
    ],
)
def test_views_that_read_each_other_are_refused(views: list[View]) -> None:
    with pytest.raises(RegistryError, match=r"gold\.[abc]\.sql:3: .* in a circle: gold\.(a|b) -> "):
        check([], views)


def test_a_column_that_a_view_no_longer_returns_is_missed_by_those_that_read_it() -> None:
    reader = replace(view("gold.v", "gold.w"), sql="SELECT\n  b AS a\nFROM gold.w")
    with pytest.raises(ViewError, match=r"gold\.v\.sql:2: no column b in gold\.w"):
        check([], [reader, view("gold.w")])
    check([], [replace(reader, sql="SELECT a FROM gold.w"), view("gold.w")])


@pytest.mark.parametrize(
    "wrong",
    [
        table("silver.a", write=Upsert(keys=("b",), sequence_by=("a",))),
        table("silver.a", write=Upsert(keys=("a",), sequence_by=("b",))),
        table("silver.a", write=Overwrite(keys=("b",))),
        table("silver.a", cluster_by=("a", "b")),
    ],
)
def test_a_key_or_clustering_column_outside_the_schema_is_refused(wrong: Table) -> None:
    with pytest.raises(RegistryError, match=r"silver\.a: .* column b is not in it"):
        check([wrong], [])


def test_views_come_after_the_views_that_they_read() -> None:
    views = [view("gold.a", "gold.c"), view("gold.b", "silver.x"), view("gold.c", "gold.b")]
    assert [v.name for v in views_in_order(views=views)] == ["gold.b", "gold.c", "gold.a"]


def test_only_the_named_views_are_chosen_by_short_or_full_name() -> None:
    views = [view("gold.a", "gold.b"), view("gold.b"), view("gold.c")]
    assert [v.name for v in views_in_order(["a", "gold.b"], views)] == ["gold.b", "gold.a"]


def test_an_unknown_view_is_answered_with_those_there_are() -> None:
    with pytest.raises(
        RegistryError, match=r"no view named sales; there are gold\.bought_together, "
    ):
        views_in_order(["sales"])


def test_every_silver_table_takes_its_own_event_type() -> None:
    types = [table.event_type for table in SILVER_EVENTS]
    assert all(types) and len(set(types)) == len(types)
    assert all(transformation(t).__name__ == t.short_name for t in SILVER_EVENTS)


def test_every_table_says_what_a_row_is_and_what_each_column_holds(spark: SparkSession) -> None:
    for table in TABLES:
        schema = schema_of(table)
        assert table.comment.endswith("."), table.name
        silent = [f.name for f in schema if not f.metadata.get("comment")]
        assert silent == [], table.name


def test_columns_equal_the_parsed_schema(spark: SparkSession) -> None:
    for table in TABLES:
        assert list(table.columns) == schema_of(table).names, table.name


def test_keys_cannot_be_null(spark: SparkSession) -> None:
    for table in TABLES:
        keys = () if isinstance(table.write, Append) else table.write.keys
        nullable = [f.name for f in schema_of(table) if f.name in keys and f.nullable]
        assert nullable == [], table.name


def test_checks_name_columns_of_their_table(spark: SparkSession) -> None:
    for table in TABLES:
        named = {rule.arguments["column"] for rule in table.checks}
        assert named <= set(table.columns), table.name


def test_not_null_columns_of_silver_are_checked_or_given(spark: SparkSession) -> None:
    """An event without a value that its table needs is quarantined; it never fails the write."""
    given = {"payload_hash", "source", "source_partition", "source_offset", "amount_cents"}
    for table in SILVER_EVENTS:
        required = {f.name for f in schema_of(table) if not f.nullable} - given
        checked = {r.reason.removesuffix("_missing") for r in table.checks}
        assert required <= checked, table.name


def test_views_are_documented_down_to_the_column() -> None:
    assert VIEWS and all(v.comment.endswith(".") for v in VIEWS)
    assert all(comment for v in VIEWS for _, comment in v.column_comments)


def test_the_registry_is_checked_as_it_ships() -> None:
    registry.check()
    with pytest.raises(RegistryError):
        registry.check([*TABLES, replace(ITEMS, comment="twice")], VIEWS)
