"""Reading a view: its contract in the comments, and what is refused with file and line."""

from pathlib import Path

import pytest
import sqlglot

from pipelines.errors import ViewError
from pipelines.view import View, check_columns, load_view, load_views, parse_select, table_names

GOOD = """\
-- Units sold of an item.
-- key: item_id
-- cluster by: item_id, region
WITH sold AS (SELECT item_id, region, quantity FROM silver.purchases)
SELECT
  s.item_id, -- the item
  s.region, -- where
  SUM(quantity) AS units -- units sold
FROM sold AS s JOIN silver.items AS i ON s.item_id = i.item_id
GROUP BY ALL
"""


def loaded(tmp_path: Path, sql: str) -> View:
    file = tmp_path / "units.sql"
    file.write_text(sql)
    return load_view(file)


def test_a_view_is_what_its_file_says(tmp_path: Path) -> None:
    view = loaded(tmp_path, GOOD)
    assert view.name == "gold.units"
    assert view.comment == "Units sold of an item."
    assert (view.key, view.cluster_by) == (("item_id",), ("item_id", "region"))
    assert view.inputs == ("silver.items", "silver.purchases")
    assert view.sql == GOOD
    assert view.column_comments == (
        ("item_id", "the item"),
        ("region", "where"),
        ("units", "units sold"),
    )


def test_views_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.sql").write_text(GOOD)
    (tmp_path / "notes.txt").write_text("not SQL")
    assert [view.name for view in load_views(tmp_path)] == ["gold.a", "gold.b"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("GROUP BY ALL", "GROUP BY (", r"units\.sql:10: not valid SQL"),
        ("-- where", "", "column region has no comment"),
        ("-- key: item_id", "-- key: product", "key names product, which the view does not return"),
        ("cluster by: item_id", "cluster by: shop", "cluster by names shop"),
        ("-- key: item_id\n", "", r"units\.sql:1: the header needs one line '-- key: "),
        ("-- key: item_id\n", "-- key: item_id\n" * 2, "needs one line '-- key: "),
        ("-- cluster by: item_id, region\n", "", "needs one line '-- cluster by: "),
        ("-- Units sold of an item.\n", "", r"units\.sql:1: .* the grain in one sentence"),
        ("GROUP BY ALL", "GROUP BY ALL; SELECT 1", "must be one SELECT"),
        (GOOD, "", "must be one SELECT"),
        (GOOD, "DROP TABLE silver.items", "must be one SELECT"),
        (GOOD, "INSERT INTO silver.items SELECT 1", "must be one SELECT"),
        ("-- the item", "-- the item\n  'open,", r"units\.sql:7: not valid SQL"),
        ("-- where", "/* where", r"units\.sql:7: not valid SQL"),
    ],
)
def test_an_incomplete_or_broken_view_is_refused(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    with pytest.raises(ViewError, match=message) as raised:
        loaded(tmp_path, GOOD.replace(old, new, 1))
    assert "\n" not in str(raised.value)
    assert str(tmp_path / "units.sql") in str(raised.value)


@pytest.mark.parametrize(
    "unstable",
    [
        "now()", "current_date", "CURRENT_DATE()", "Current_Timestamp", "localtimestamp()",
        "curdate()", "unix_timestamp()", "rand()", "rand(7)", "random()", "randn()", "uuid()",
        "first(quantity)", "last(quantity)", "any_value(quantity)", "shuffle(array(1, 2))",
        "monotonically_increasing_id()", "spark_partition_id()", "input_file_name()",
        "current_user()", "current_timezone()", "quantity + coalesce(1, rand())",
    ],
)  # fmt: skip
def test_what_gives_other_values_at_another_time_is_refused_with_its_line(
    tmp_path: Path, unstable: str
) -> None:
    with pytest.raises(ViewError, match=r"units\.sql:8: \w+ may give another value") as raised:
        loaded(tmp_path, GOOD.replace("SUM(quantity)", unstable, 1))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "stable",
    [
        "unix_timestamp(MAX(s.at))",
        "FIRST(quantity) OVER (PARTITION BY s.item_id ORDER BY s.at)",
        "MAX('now(), current_date')",
        "date_trunc('DAY', s.at) /* not current_date */",
    ],
)
def test_what_the_rows_alone_decide_is_taken(tmp_path: Path, stable: str) -> None:
    assert loaded(tmp_path, GOOD.replace("SUM(quantity)", stable, 1)).inputs


def test_a_sample_of_the_rows_is_refused(tmp_path: Path) -> None:
    sampled = GOOD.replace("silver.items AS i", "silver.items TABLESAMPLE (10 PERCENT) AS i")
    with pytest.raises(ViewError, match=r"units\.sql:9: tablesample may give"):
        loaded(tmp_path, sampled)


COLUMNS = {
    "silver.purchases": ("item_id", "region", "quantity"),
    "silver.items": ("item_id", "title"),
}


def test_columns_are_resolved_through_every_part_of_the_query(tmp_path: Path) -> None:
    check_columns(loaded(tmp_path, GOOD), COLUMNS)


@pytest.mark.parametrize(
    ("old", "new", "line", "column"),
    [
        ("SELECT item_id, region", "SELECT item AS item_id, region", 4, "item"),
        ("s.region, -- where", "s.place AS region, -- where", 7, "place"),
        ("SUM(quantity)", "SUM(units)", 8, "units"),
        ("s.item_id, -- the", "i.nope AS item_id, -- the", 6, "nope"),
        ("s.item_id, -- the", "x.item_id, -- the", 6, "item_id"),
        ("= i.item_id", "= i.nope", 9, "nope"),
        ("GROUP BY ALL", "WHERE i.brand = 'x' GROUP BY ALL", 10, "brand"),
        ("GROUP BY ALL", "WHERE s.quantity IN (SELECT q FROM silver.items) GROUP BY ALL", 10, "q"),
    ],
)
def test_a_column_that_does_not_exist_is_named_with_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, column: str
) -> None:
    assert old in GOOD
    view = loaded(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ViewError, match=rf"units\.sql:{line}: no column {column} in silver"):
        check_columns(view, COLUMNS)


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(ViewError, match=r"query:3: not valid SQL"):
        parse_select("SELECT\n  a\nFROM (", "query")


def test_common_table_expressions_are_not_inputs() -> None:
    sql = "WITH a AS (SELECT * FROM silver.x), b AS (SELECT * FROM a) SELECT * FROM b, gold.y"
    select = sqlglot.parse_one(sql, read="spark")
    assert isinstance(select, sqlglot.exp.Query)
    assert table_names(select) == {"silver.x", "gold.y"}
