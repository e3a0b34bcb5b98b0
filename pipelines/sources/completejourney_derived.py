"""What follows from the receipts: real price changes, simulated clicks and stock, small samples.

Every function takes lines in time order and returns columns in time order. Whatever is simulated
depends on the seed only and is marked as simulated where it is written out.
"""

from dataclasses import dataclass

import numpy as np

from pipelines.sources.completejourney_data import WEEK, Lines
from pipelines.sources.completejourney_groups import Bools, Ints

DAY = 86_400
START = 1_483_228_800  # 2017-01-01T00:00:00Z
END = START + 366 * DAY  # the last receipts are of the night to 2018-01-01

VIEWED_BEFORE_PURCHASE = 0.90
BROWSED_PER_PURCHASE = 0.30
VISITS_WITHOUT_PURCHASE = 0.30
VIEWS_PER_VISIT = 4.4
CLICKS_SENT_TWICE = 0.002
DELIVERED_SHORT = 0.05
# Promotions of an item that is bought less often in a region tell nothing of what they did.
MIN_LINES_TO_PROMOTE = 8


@dataclass(frozen=True)
class PriceChanges:
    at: Ints
    product: Ints
    region: Ints
    price_cents: Ints


@dataclass(frozen=True)
class Clicks:
    """Clicks in the order they are sent; `number` is the same for a click that is sent twice.

    Attributes:
        session: the basket of a visit that ended in a purchase, a small number otherwise.
    """

    sent_at: Ints
    at: Ints
    number: Ints
    product: Ints
    household: Ints
    region: Ints
    session: Ints


@dataclass(frozen=True)
class StockChanges:
    at: Ints
    product: Ints
    region: Ints
    delta_quantity: Ints
    is_opening: Bools


def price_changes(lines: Lines, weighed: Bools) -> PriceChanges:
    """The shelf price of a product in a region whenever it differs from the last known one.

    The price of a day is the one on most lines, the lowest on ties, and it counts from the day's
    first purchase of the product in the region. Lines without a quantity or a price and goods
    sold by weight make no prices.
    """
    usable = lines.take((lines.quantity > 0) & (lines.price_cents > 0) & ~weighed[lines.product])
    place, day, price = usable.product * 16 + usable.region, usable.at // DAY, usable.price_cents
    order = np.lexsort((price, day, place))
    place, day, price, at = place[order], day[order], price[order], usable.at[order]
    new_day = (np.diff(place, prepend=-1) != 0) | (np.diff(day, prepend=-1) != 0)
    first = np.flatnonzero(new_day)
    runs = np.flatnonzero(new_day | (np.diff(price, prepend=-1) != 0))
    lines_at_price = np.diff(runs, append=len(order))
    day_of_run = np.cumsum(new_day)[runs] - 1
    # Sorted by day, then most lines first, then the lowest price: the first of a day is its price.
    best = np.lexsort((price[runs], -lines_at_price, day_of_run))
    best = best[np.flatnonzero(np.diff(day_of_run[best], prepend=-1))]
    daily_price, daily_place = price[runs[best]], place[first]
    daily_at = np.minimum.reduceat(at, first) if len(first) else at
    is_change = (np.diff(daily_price, prepend=-1) != 0) | (np.diff(daily_place, prepend=-1) != 0)
    kept = np.flatnonzero(is_change)
    kept = kept[np.argsort(daily_at[kept], kind="stable")]
    return PriceChanges(
        daily_at[kept], daily_place[kept] // 16, daily_place[kept] % 16, daily_price[kept]
    )


def clicks(lines: Lines, category: Ints, fuel: Bools, seed: int) -> Clicks:
    """Simulated clicks around the real purchases (fuel excepted).

    Most bought items are looked at in the half hour before; other items of the same category,
    drawn by their share of the category's purchases, are looked at on the way; and 30 % as
    many visits as baskets buy nothing, days before a basket of the same household and in the
    categories of that basket. Popularity is that of the whole year.

    Args:
        category: category code per product.
        seed: the only source of chance.
    """
    lines = lines.take(~fuel[lines.product])
    rng = np.random.default_rng([seed, 1])
    count = len(lines.at)
    viewed = np.flatnonzero(rng.random(count) < VIEWED_BEFORE_PURCHASE)
    browsed = np.flatnonzero(rng.random(count) < BROWSED_PER_PURCHASE)
    around = np.concatenate([viewed, browsed])
    visit, visit_lines, visit_start = _visits(lines, rng)
    source = np.concatenate([around, visit_lines])
    other = _popular(lines.product, category, source[len(viewed) :], rng)
    at = np.concatenate([lines.at[around], visit_start]) - rng.integers(20, 1800, len(source))
    order = np.argsort(at, kind="stable")
    session = np.concatenate([lines.basket[around], visit])[order]
    product = np.concatenate([lines.product[viewed], other])[order]
    at, source = at[order], source[order]
    twice = np.flatnonzero(rng.random(len(at)) < CLICKS_SENT_TWICE)
    sent_at = np.concatenate([at, at[twice] + rng.integers(1, 60, len(twice))])
    number = np.concatenate([np.arange(len(at)), twice])
    send = np.argsort(sent_at, kind="stable")
    number = number[send]
    return Clicks(
        sent_at=sent_at[send],
        at=at[number],
        number=number,
        product=product[number],
        household=lines.household[source[number]],
        region=lines.region[source[number]],
        session=session[number],
    )


def _visits(lines: Lines, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Per view of a visit without a purchase: visit number, a line of the basket, a time."""
    order = np.argsort(lines.basket, kind="stable")
    first = np.flatnonzero(np.diff(lines.basket[order], prepend=-1))
    size = np.diff(first, append=len(order))
    chosen = np.flatnonzero(rng.random(len(first)) < VISITS_WITHOUT_PURCHASE)
    views = 1 + rng.poisson(VIEWS_PER_VISIT - 1, len(chosen))
    lead = rng.integers(DAY // 2, 6 * DAY, len(chosen))
    basket = np.repeat(chosen, views)
    line = order[first[basket] + (rng.random(len(basket)) * size[basket]).astype(np.int64)]
    start = lines.at[line] - np.repeat(lead, views)
    # What would fall before the first day of the data comes after the basket instead.
    start = np.where(start < START + DAY // 2, lines.at[line] + np.repeat(lead, views), start)
    return np.repeat(np.arange(1, len(chosen) + 1), views), line, start


def _popular(sold: Ints, category: Ints, source: Ints, rng: np.random.Generator) -> Ints:
    """A product of the category of each source line, drawn by its share of the lines."""
    of_line = category[sold]
    order = np.argsort(of_line, kind="stable")
    size = np.bincount(of_line, minlength=int(category.max()) + 1)
    first = np.cumsum(size) - size
    wanted = of_line[source]
    picked: Ints = sold[
        order[first[wanted] + (rng.random(len(source)) * size[wanted]).astype(np.int64)]
    ]
    return picked


def stock_changes(lines: Lines, fuel: Bools, seed: int) -> StockChanges:
    """Simulated opening stock and deliveries per product and region (fuel excepted).

    Order-up-to replenishment: what was sold in a cycle arrives 1 to 3 days after its end, now and
    then only half of it, the rest with the next delivery. A cycle is one week from 60 units a
    year on, four weeks from 24, a quarter from 8; below, the opening stock lasts the year. The
    sales themselves are the purchases and are not repeated here. Measured over the full year:
    603,862 movements, and 5.5 % of the sales leave a stock below zero.
    """
    sold = lines.take((lines.quantity > 0) & ~fuel[lines.product])
    rng = np.random.default_rng([seed, 2])
    places, place = np.unique(sold.product * 16 + sold.region, return_inverse=True)
    yearly = np.bincount(place, sold.quantity, minlength=len(places))
    weeks = np.select([yearly >= 60, yearly >= 24, yearly >= 8], [1, 4, 13], 53).astype(np.int64)
    per_cycle = yearly * weeks / 52
    opening = np.ceil(1.5 * per_cycle + 1.3 * np.sqrt(per_cycle)).astype(np.int64)

    cycle = (sold.at - START) // (WEEK * weeks[place])
    groups, group = np.unique(place * 64 + cycle, return_inverse=True)
    ordered = np.bincount(group, sold.quantity, minlength=len(groups)).astype(np.int64)
    of_place = groups // 64
    missing = np.where(rng.random(len(groups)) < DELIVERED_SHORT, ordered // 2, 0)
    late = np.concatenate([[0], missing[:-1]]) * (np.diff(of_place, prepend=-1) == 0)
    cycle_end = START + (groups % 64 + 1) * WEEK * weeks[of_place]
    arrival = cycle_end + rng.integers(DAY, 3 * DAY, len(groups))
    arrived = np.flatnonzero(arrival < END)

    all_places = np.concatenate([np.arange(len(places)), of_place[arrived]])
    at = np.concatenate([np.full(len(places), START + 3600), arrival[arrived]])
    delta = np.concatenate([opening, (ordered - missing + late)[arrived]])
    order = np.argsort(at, kind="stable")
    return StockChanges(
        at=at[order],
        product=places[all_places][order] // 16,
        region=places[all_places][order] % 16,
        delta_quantity=delta[order],
        is_opening=order < len(places),
    )


def sample(lines: Lines, limit: int, seed: int, promoted: Ints) -> Lines:
    """The receipts of some households, cut to some products, that lead to about `limit` events.

    Households and products are thinned by the same share, so that what is left still holds
    customers with histories and products with several buyers: households by a seeded draw,
    products evenly along the order of their popularity. The share is found by bisection.

    Args:
        promoted: how many promotions the place of each line has, an item in a region.
    """
    rank = np.empty(int(lines.product.max()) + 1, dtype=np.int64)
    popularity = np.bincount(lines.product, minlength=len(rank))
    rank[np.argsort(-popularity, kind="stable")] = np.arange(len(rank))
    households = int(lines.household.max()) + 1
    chance = np.random.default_rng([seed, 3]).permutation(households) / households
    low, high, best = 0.0, 1.0, np.zeros(len(lines.at), dtype=np.bool_)
    for _ in range(20):
        share = (low + high) / 2
        keep = (chance[lines.household] < share) & _evenly(rank, share)[lines.product]
        if _expected_events(lines, keep, promoted) <= limit:
            low, best = share, keep
        else:
            high = share
    return lines.take(best)


def _evenly(rank: Ints, share: float) -> Bools:
    """True for `share` of the ranks, evenly spread and not starting with the very first."""
    steps: Bools = np.floor((rank + 0.5) * share + 0.5) > np.floor((rank - 0.5) * share + 0.5)
    return steps


def _expected_events(lines: Lines, keep: Bools, promoted: Ints) -> float:
    """Events that the kept lines lead to; within 10 % for limits of 5,000 to 2,000,000."""
    count = int(keep.sum())
    place, first, lines_there = np.unique(
        lines.product[keep] * 16 + lines.region[keep], return_index=True, return_counts=True
    )
    places = len(place)
    promotions = int(promoted[keep][first[lines_there >= MIN_LINES_TO_PROMOTE]].sum())
    baskets, items = len(np.unique(lines.basket[keep])), len(np.unique(lines.product[keep]))
    clicked = VIEWED_BEFORE_PURCHASE + BROWSED_PER_PURCHASE
    visits = VISITS_WITHOUT_PURCHASE * VIEWS_PER_VISIT * baskets
    # Each place has an opening stock and a first price; 0.3 a line: measured deliveries and prices.
    prices_and_stock = 2 * places + 0.3 * (count - places)
    return (1 + clicked) * count + visits + prices_and_stock + promotions + items
