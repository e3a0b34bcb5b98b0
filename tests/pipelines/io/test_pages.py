"""Pages of gold views: their rows by key and value, as they are now, without a session."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from given import event
from pyspark.sql import SparkSession

from pipelines.errors import LakeError
from pipelines.io.pages import Pages
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.views.refresh import refresh

TakeIn = Callable[[Settings, Iterable[object]], None]
AT = "2024-05-01T10:00:00Z"


def price(number: int, **fields: object) -> dict[str, object]:
    return event("price_change", number, **{"occurred_at": AT, **fields})


def test_a_page_shows_the_view_as_it_is_now(
    spark: SparkSession, lake: Settings, take_in: TakeIn
) -> None:
    pages = Pages(lake, VIEWS)
    with pytest.raises(LakeError, match=r"gold\.current_prices cannot be read without Spark"):
        pages.page("current_prices", {}, 10)

    take_in(lake, [price(1, price_cents=100), price(2, item_id="i2", price_cents=200)])
    refresh(spark, lake, ["gold.current_prices"])
    first = pages.page("current_prices", {}, 10)
    assert [(row["item_id"], row["price_cents"]) for row in first.rows] == [
        ("i1", 100),
        ("i2", 200),
    ]
    assert first.rows[0]["changed_at"] == AT
    assert pages.page("current_prices", {}, 10) is first  # kept
    assert [row["item_id"] for row in pages.page("current_prices", {}, 1).rows] == ["i1"]

    take_in(lake, [price(3, price_cents=90, occurred_at="2024-05-01T11:00:00Z")])
    refresh(spark, lake, ["gold.current_prices"])
    now = pages.page("current_prices", {"item_id": "i1", "price_cents": "90"}, 10)
    assert [row["price_cents"] for row in now.rows] == [90]
    now_all = pages.page("current_prices", {}, 10)
    assert now.version > first.version and now.tag != first.tag
    assert pages.page("current_prices", {"item_id": "i1' OR '1'='1"}, 10).rows == []
    for where, why in (
        ({"nothing": "1"}, "nothing is not one of item_id"),
        ({"price_cents": "1 OR 1=1"}, "price_cents is a bigint, and '1 OR 1=1' is none"),
        ({"changed_at": AT}, "changed_at is a timestamp; ask by a column of text"),
    ):
        with pytest.raises(ValueError, match=why):
            pages.page("current_prices", where, 10)
    with pytest.raises(KeyError):
        pages.page("no_such_view", {}, 10)

    (view,) = (view for view in VIEWS if view.name == "gold.current_prices")
    edited = replace(view, column_comments=(*view.column_comments, ("new", "Not yet there.")))
    assert Pages(lake, [edited]).page("current_prices", {}, 10).rows == now_all.rows
    with pytest.raises(ValueError, match="new is not one of item_id"):
        Pages(lake, [edited]).page("current_prices", {"new": "1"}, 10)
