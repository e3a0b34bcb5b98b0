"""silver.items: what a shopper reads of an item."""

from expect import assert_rows

from pipelines.silver.items import ITEMS, items


def test_an_item_may_lack_brand_and_category(rows) -> None:
    given = [
        {"item_id": "i1", "title": "Milk", "brand": "Own", "category": "DAIRY"},
        {"item_id": "i2", "title": "Bread", "brand": None, "category": None},
    ]
    made = items(rows(ITEMS, given))
    assert tuple(made.columns) == ITEMS.columns
    assert_rows(made, given)


def test_an_item_without_a_title_is_refused(refused) -> None:
    given = [{"event_id": "named", "title": "Milk"}, {"event_id": "nameless", "title": None}]
    assert refused(ITEMS, given, about=["title"]) == {"nameless": ["title_missing"]}
