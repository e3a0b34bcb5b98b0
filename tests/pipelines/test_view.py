"""Reading a view: its contract in the comments, and what is refused with file and line."""

from pathlib import Path

import pytest
import sqlglot

from pipelines.errors import ViewError
from pipelines.view import View, load_view, load_views, parse_select, table_names

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
        ("-- the item", "-- the item\n  'open,", "not valid SQL"),
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


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(ViewError, match=r"query:3: not valid SQL"):
        parse_select("SELECT\n  a\nFROM (", "query")


def test_common_table_expressions_are_not_inputs() -> None:
    sql = "WITH a AS (SELECT * FROM silver.x), b AS (SELECT * FROM a) SELECT * FROM b, gold.y"
    select = sqlglot.parse_one(sql, read="spark")
    assert isinstance(select, sqlglot.exp.Query)
    assert table_names(select) == {"silver.x", "gold.y"}
