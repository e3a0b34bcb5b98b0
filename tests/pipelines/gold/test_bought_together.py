"""gold.bought_together: pairs of items, counted once per basket."""

from expect import assert_rows

VIEW = "gold.bought_together"


def baskets(*contents: str, first: int = 0) -> list[dict[str, object]]:
    """One basket per text; each of its words is an item in it."""
    return [
        {"basket_id": f"b{number}", "item_id": item}
        for number, content in enumerate(contents, start=first)
        for item in content.split()
    ]


def test_support_confidence_and_lift_are_by_baskets_both_ways(view_rows) -> None:
    sold = baskets(*["milk bread"] * 3, "milk milk", "milk", *["eggs"] * 5)
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"item_id": "milk", "other_item_id": "bread", "basket_count": 3, "support": 0.3}
            | {"confidence": 0.6, "lift": 2.0},
            {"item_id": "bread", "other_item_id": "milk", "basket_count": 3, "support": 0.3}
            | {"confidence": 1.0, "lift": 2.0},
        ],
    )


def test_an_item_twice_in_a_basket_is_one_item(view_rows) -> None:
    sold = baskets(*["a a b b"] * 3)
    assert_rows(
        view_rows(VIEW, {"silver.purchases": sold}),
        [
            {"item_id": "a", "other_item_id": "b", "basket_count": 3},
            {"item_id": "b", "other_item_id": "a", "basket_count": 3},
        ],
    )


def test_two_baskets_are_chance_three_are_a_pair(view_rows) -> None:
    sold = baskets(*["a b"] * 2, *["a c"] * 3)
    made = view_rows(VIEW, {"silver.purchases": sold}).where("item_id < other_item_id")
    assert_rows(made, [{"item_id": "a", "other_item_id": "c", "basket_count": 3}])


def test_a_basket_of_more_than_fifty_items_says_nothing(view_rows) -> None:
    full = " ".join(["a", "b", *(f"i{n}" for n in range(48))])
    most = [f"{full} more", f"{full} other", *["a b"] * 3]
    made = view_rows(VIEW, {"silver.purchases": baskets(*most)}).where("item_id = 'a'")
    assert_rows(made, [{"other_item_id": "b", "basket_count": 3, "support": 1.0, "lift": 1.0}])
    three = view_rows(VIEW, {"silver.purchases": baskets(*[full] * 3)}).where("item_id = 'a'")
    assert three.count() == 49


def test_in_a_large_shop_a_pair_needs_one_basket_in_ten_thousand(view_rows) -> None:
    lone = baskets(*["x"] * 39_994, first=100)
    pairs = baskets(*["a b"] * 4, *["c d"] * 3)
    # 40,001 baskets: 4 are fewer than 1 in 10,000; one basket less, and they are just as many.
    too_few = view_rows(VIEW, {"silver.purchases": [*lone, *pairs]})
    assert too_few.isEmpty()
    enough = view_rows(VIEW, {"silver.purchases": [*lone[1:], *pairs]})
    assert_rows(
        enough,
        [
            {"item_id": "a", "other_item_id": "b", "basket_count": 4},
            {"item_id": "b", "other_item_id": "a", "basket_count": 4},
        ],
    )
