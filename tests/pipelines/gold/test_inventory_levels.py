"""gold.inventory_levels: what came in less what went out, where stock is kept."""

from datetime import datetime

from expect import assert_rows

VIEW = "gold.inventory_levels"


def moved(item: str, region: str, hour: int, **units: int) -> dict[str, object]:
    return {
        "item_id": item,
        "region": region,
        "occurred_at": datetime(2017, 3, 1, hour),
        **units,
    }


def test_stock_is_what_moved_less_what_was_sold_per_region(view_rows) -> None:
    made = view_rows(
        VIEW,
        {
            "silver.inventory_changes": [
                moved("i1", "north", 8, delta_quantity=10),
                moved("i1", "north", 9, delta_quantity=-1),
                moved("i1", "south", 9, delta_quantity=5),
            ],
            "silver.purchases": [
                moved("i1", "north", 11, quantity=2),
                moved("i1", "north", 10, quantity=3),
            ],
        },
    )
    assert_rows(
        made,
        [
            {"region": "north", "quantity": 4, "changed_at": datetime(2017, 3, 1, 11)},
            {"region": "south", "quantity": 5, "changed_at": datetime(2017, 3, 1, 9)},
        ],
    )


def test_sales_that_overtook_the_records_leave_less_than_nothing(view_rows) -> None:
    made = view_rows(
        VIEW,
        {
            "silver.inventory_changes": [moved("i1", "north", 8, delta_quantity=1)],
            "silver.purchases": [moved("i1", "north", 9, quantity=4)],
        },
    )
    assert_rows(made, [{"item_id": "i1", "quantity": -3}])


def test_items_without_a_stock_record_have_no_level(view_rows) -> None:
    made = view_rows(
        VIEW,
        {
            "silver.inventory_changes": [moved("i1", "north", 8, delta_quantity=0)],
            "silver.purchases": [
                moved("i1", "south", 9, quantity=4),
                moved("i2", "north", 9, quantity=4),
            ],
        },
    )
    assert_rows(made, [{"item_id": "i1", "region": "north", "quantity": 0}])
