"""Which events a pattern is about."""

import pytest
from given import event
from reacted import Shop, bought, moved, parsed, price

from pipelines.errors import ConfigError
from serving.encoding import now
from serving.reactions import Live, Pattern


def live(shop: Shop) -> Live:
    return Live(shop.store, now(), 5)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        (Pattern(), True),
        (Pattern(frozenset({"click"})), True),
        (Pattern(frozenset({"purchase"})), False),
        (Pattern(frozenset({"click", "purchase"}), frozenset({"DAIRY"})), True),
        (Pattern(categories=frozenset({"BREAD"})), False),
        (Pattern(regions=frozenset({"north"})), True),
        (Pattern(regions=frozenset({"south"})), False),
    ],
)
def test_type_category_and_region_must_all_fit(shop: Shop, pattern: Pattern, fits: bool) -> None:
    assert pattern.matches(parsed(event("click", 1)), live(shop)) is fits


@pytest.mark.parametrize(
    ("cents", "percent", "falls"),
    [(149, 25, True), (150, 25, False), (149, 26, False), (199, 1, False), (250, 1, False)],
)
def test_a_price_drop_is_told_against_the_price_before(
    shop: Shop, cents: int, percent: float, falls: bool
) -> None:
    drop = Pattern(frozenset({"price_change"}), price_drop=percent)  # published: 199
    assert drop.matches(parsed(price(1, cents)), live(shop)) is falls


def test_a_price_is_compared_within_its_item_region_and_currency(shop: Shop) -> None:
    drop = Pattern(frozenset({"price_change"}), price_drop=10)
    for other in ({"item_id": "i2"}, {"region": "east"}, {"currency": "EUR"}):
        assert not drop.matches(parsed(price(1, 1, **other)), live(shop))


def test_an_event_is_matched_alike_when_it_is_read_again(shop: Shop) -> None:
    drop = Pattern(frozenset({"price_change"}), price_drop=10)
    shop.react(price(1, 100))
    assert drop.matches(parsed(price(1, 100)), live(shop))
    assert not drop.matches(parsed(price(2, 95)), live(shop))
    shop.react(price(2, 50))
    assert drop.matches(parsed(price(2, 50)), live(shop))


def test_stock_runs_low_with_the_event_that_crosses_the_threshold(shop: Shop) -> None:
    low = Pattern(frozenset({"purchase", "inventory_change"}), stock_under=5)  # published: 12
    assert not low.matches(parsed(bought(1, 7)), live(shop))
    assert low.matches(parsed(bought(1, 8)), live(shop))
    shop.react(bought(1, 8))
    assert low.matches(parsed(bought(1, 8)), live(shop))
    assert not low.matches(parsed(bought(2, 1)), live(shop))  # it was low before
    assert not low.matches(parsed(moved(3, 100)), live(shop))


def test_stock_that_nobody_keeps_is_never_low(shop: Shop) -> None:
    low = Pattern(frozenset({"purchase", "inventory_change"}), stock_under=5)
    assert not low.matches(parsed(bought(1, 8, item_id="i9")), live(shop))
    assert not low.matches(parsed(moved(1, 3, item_id="i9")), live(shop))  # from 0 to 3


def test_a_movement_that_is_published_already_is_not_counted_again(shop: Shop) -> None:
    low = Pattern(frozenset({"purchase"}), stock_under=5)
    old = event("purchase", 1, quantity=100, occurred_at="2025-12-31T00:00:00Z")
    assert not low.matches(parsed(old), live(shop))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"types": frozenset({"sale"})}, "no event type sale"),
        ({"price_drop": 5.0}, "price_drop needs type price_change"),
        ({"types": frozenset({"click"}), "stock_under": 5}, "stock_under needs type inventory"),
    ],
)
def test_a_pattern_that_nothing_can_fit_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Pattern(**wrong)  # type: ignore[arg-type]
