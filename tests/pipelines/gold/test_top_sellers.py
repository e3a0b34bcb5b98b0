"""gold.top_sellers: the best of each category, region and day, in an order without ties."""

from datetime import date, datetime

from expect import assert_rows

VIEW = "gold.top_sellers"


def sale(item: str, quantity: int, cents: int = 100, **more: object) -> dict[str, object]:
    return {
        "item_id": item,
        "quantity": quantity,
        "amount_cents": cents,
        "category": "DAIRY",
        "region": "north",
        "occurred_at": datetime(2017, 3, 1, 9),
        **more,
    }


def test_units_decide_then_revenue_then_the_item_id(view_rows) -> None:
    sold = [
        sale("b", 3),
        sale("few", 1, cents=9999),
        sale("a", 3),
        sale("rich", 3, cents=101),
        sale("most", 2),
        sale("most", 2),
    ]
    ranks = [("most", 4, 200), ("rich", 3, 101), ("a", 3, 100), ("b", 3, 100), ("few", 1, 9999)]
    for arrived in (sold, sold[::-1]):
        assert_rows(
            view_rows(VIEW, {"silver.purchases": arrived}),
            [
                {"rank": rank, "item_id": item, "units": units, "revenue_cents": cents}
                for rank, (item, units, cents) in enumerate(ranks, start=1)
            ],
        )


def test_each_category_region_and_day_has_its_own_first(view_rows) -> None:
    sold = [
        sale("a", 9),
        sale("b", 1, category=None),
        sale("c", 1, region="south"),
        sale("d", 1, occurred_at=datetime(2017, 3, 2)),
    ]
    first = {"category": "DAIRY", "region": "north", "sale_date": date(2017, 3, 1), "rank": 1}
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {**first, "item_id": "a"},
            {**first, "item_id": "b", "category": "UNKNOWN"},
            {**first, "item_id": "c", "region": "south"},
            {**first, "item_id": "d", "sale_date": date(2017, 3, 2)},
        ],
    )


def test_the_hundred_and_first_is_left_out(view_rows) -> None:
    sold = [sale(f"i{n:03}", 1) for n in range(101)]
    made = view_rows(VIEW, {"silver.purchases": sold}).select("rank", "item_id").collect()
    assert sorted(tuple(row) for row in made) == [(n + 1, f"i{n:03}") for n in range(100)]
