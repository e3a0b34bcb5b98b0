"""From demand to a suggested price within guard rails, with its expected effect and a reason."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.stats import norm

from ml.pricing_fit import Floats, Ints
from pipelines.settings_sections import PricingSettings

Bools = npt.NDArray[np.bool_]

STEPS = 21  # candidates from the lowest to the highest allowed step, the present price among them
# Elasticities that stand for a normal distribution, each with the same weight.
_POINTS = norm.ppf((np.arange(20) + 0.5) / 20)
_DAY = timedelta(days=1)
TELLING = 0.2  # a shift of demand below this share is not worth telling


@dataclass(frozen=True)
class Places:
    """Items in regions, each of length n; NaN where unknown.

    Attributes:
        price: shelf price now; `usual`: the usual one, in minor units.
        paid_share: what customers pay of the shelf price, after discounts.
        cost: of a unit, in minor units.
        units: expected in a week at the price now.
        elasticity: mean and `deviation` of what is known of it.
        stock: units on hand; `cover`: days that they last.
        weeks: in which the item was sold.
        is_fresh: the price was changed less than a day ago.
        shift: demand lately over demand in all weeks, minus 1.
    """

    price: Floats
    usual: Floats
    paid_share: Floats
    cost: Floats
    units: Floats
    elasticity: Floats
    deviation: Floats
    stock: Floats
    cover: Floats
    weeks: Floats
    is_fresh: Bools
    shift: Floats


@dataclass(frozen=True)
class Advice:
    """What is suggested for each place, and what a week of it brings over the price now.

    Effects are (expected, low, high), shape (n, 3), with a 90 % interval of what is known of the
    elasticity. `profit` is money taken where the cost is spent, see `advise`. `confidence` that it
    rises is NaN where the price stays.
    """

    price: Ints
    units: Floats
    profit: Floats
    confidence: Floats
    reasons: list[str]


def advise(places: Places, settings: PricingSettings) -> Advice:
    """The price with the highest expected weekly profit that every guard rail allows.

    It stays as it is where profit is not likely enough to rise. Where stock lasts longer than
    settings.high_cover_days the cost is spent, and money taken counts in place of profit. Units
    are never more than the stock.
    """
    now = np.rint(places.price)
    step = np.linspace(-settings.largest_step, settings.largest_step, STEPS)
    low, high = np.ceil(now * (1 + step[0])), np.floor(now * (1 + step[-1]))
    candidates = np.clip(np.rint(now[:, None] * (1 + step)), low[:, None], high[:, None])
    candidates[:, STEPS // 2] = now
    is_allowed = _allowed(places, candidates, settings)
    is_spent = places.cover > settings.high_cover_days
    gain = _gain(places, candidates, is_spent)
    expected = np.where(is_allowed, gain.mean(axis=2), -np.inf)
    rows, best = np.arange(len(now)), expected.argmax(axis=1)
    is_sure = (gain[rows, best] > 0).mean(axis=1) >= settings.confidence
    is_held = (places.weeks < settings.min_week_count) | places.is_fresh
    floor = np.ceil(_floor(places, settings))
    is_below = (now < floor) & (high > now)
    chosen = np.where(is_sure & (expected[rows, best] > 0), candidates[rows, best], now)
    chosen = np.where(is_below, np.minimum(np.maximum(floor, chosen), high), chosen)
    chosen = np.where(is_held, now, chosen)
    effect = _gain(places, chosen[:, None], is_spent)[:, 0]
    sold = _units(places, chosen[:, None]) - _units(places, now[:, None])
    confidence = np.where(chosen == now, np.nan, (effect > 0).mean(axis=1))
    reasons = [
        _reason(places, settings, row, float(chosen[row]), bool(is_below[row]))
        for row in range(len(now))
    ]
    return Advice(
        chosen.astype(np.int64), _summary(sold[:, 0]), _summary(effect), confidence, reasons
    )


def _floor(places: Places, settings: PricingSettings) -> Floats:
    """The lowest shelf price that keeps the margin floor."""
    floor: Floats = places.cost / (1 - settings.margin_floor) / places.paid_share
    return floor


def _allowed(places: Places, candidates: Floats, settings: PricingSettings) -> Bools:
    """Which candidates every guard rail allows: shape (n, STEPS)."""
    now = np.rint(places.price)[:, None]
    usual = places.usual[:, None]
    apart, already = np.abs(candidates / usual - 1), np.abs(now / usual - 1)
    # A price beyond the band already may only move towards it.
    within = (apart <= settings.largest_distance) | (apart < already)
    profitable = candidates >= _floor(places, settings)[:, None]
    scarce = (places.cover < settings.low_cover_days)[:, None] & (candidates < now)
    found: Bools = (within & profitable & ~scarce & (candidates >= 1)) | (candidates == now)
    return found


def _units(places: Places, prices: Floats) -> Floats:
    """Weekly units at candidate prices for each elasticity: shape (n, candidates, 20)."""
    slope = places.elasticity[:, None] + places.deviation[:, None] * _POINTS
    change = np.log(prices / np.rint(places.price)[:, None])
    wanted = places.units[:, None, None] * np.exp(change[:, :, None] * slope[:, None, :])
    stock = np.where(np.isnan(places.stock), np.inf, np.maximum(places.stock, 0))
    found: Floats = np.minimum(wanted, stock[:, None, None])
    return found


def _profits(places: Places, prices: Floats, is_spent: Bools) -> Floats:
    """Weekly profit, or money taken where the cost is spent: shape (n, candidates, 20)."""
    cost = np.where(is_spent, 0.0, places.cost)[:, None]
    margin = prices * places.paid_share[:, None] - cost
    return margin[:, :, None] * _units(places, prices)


def _gain(places: Places, prices: Floats, is_spent: Bools) -> Floats:
    now = np.rint(places.price)[:, None]
    return _profits(places, prices, is_spent) - _profits(places, now, is_spent)


def _summary(values: Floats) -> Floats:
    low, high = np.quantile(values, [0.05, 0.95], axis=1)
    return np.stack([values.mean(axis=1), low, high], axis=1)


def _reason(
    places: Places, settings: PricingSettings, row: int, chosen: float, is_below: bool
) -> str:
    """Why the price is as suggested, in one line."""
    now, cover, shift = round(places.price[row]), places.cover[row], places.shift[row]
    if places.weeks[row] < settings.min_week_count:
        sold = f"sold in {places.weeks[row]:.0f} weeks"
        return f"stays: {sold}, {settings.min_week_count} are needed"
    if places.is_fresh[row]:
        return "stays: changed less than a day ago"
    also = []
    if cover < settings.low_cover_days:
        also.append(f"stock lasts {cover:.0f} days")
    if cover > settings.high_cover_days:
        also.append(f"stock lasts {cover:.0f} days and is to be sold")
    if abs(shift) >= TELLING:
        also.append(f"demand is {'up' if shift > 0 else 'down'} {abs(shift):.0%}")
    tail = "".join(f"; {one}" for one in also)
    if is_below:
        return f"raised towards the margin floor of {settings.margin_floor:.0%}{tail}"
    known = f"{places.elasticity[row]:.1f} ± {1.645 * places.deviation[row]:.1f}"
    if chosen == now:
        return f"stays: no allowed price surely earns more (elasticity {known}){tail}"
    moves = (
        "raised: a higher price costs few" if chosen > now else "lowered: a lower price wins many"
    )
    return f"{moves} sales (elasticity {known}){tail}"


def places_of(rows: pa.Table, as_of: datetime, settings: PricingSettings) -> Places:
    """Rows of `pricing.places` as arrays."""
    column = {
        name: rows[name].to_numpy().astype(np.float64)
        for name in rows.column_names
        if pa.types.is_integer(rows[name].type) or pa.types.is_floating(rows[name].type)
    }
    usual = np.where(np.isnan(column["usual_shelf_cents"]), column["price_cents"],
                     column["usual_shelf_cents"])  # fmt: skip
    share = np.clip(column["usual_price_cents"] / usual, 0.3, 1.0)
    cost = column["cost_cents"]
    assumed = settings.cost_share * column["usual_price_cents"]
    level = column["demand_shape"] / column["demand_rate"]
    off = np.log(column["last_price_cents"] / column["usual_price_cents"])
    changed = rows["changed_at"].to_pylist()
    fresh = [at is not None and as_of - at < _DAY for at in changed]
    return Places(
        price=column["price_cents"],
        usual=usual,
        paid_share=share,
        cost=np.where(np.isnan(cost), assumed, cost),
        units=level * np.exp(column["elasticity"] * off) * column["region_share"],
        elasticity=column["elasticity"],
        deviation=column["elasticity_sd"],
        stock=column["quantity"],
        cover=np.where(np.isnan(column["days_of_cover"]), np.nan, column["days_of_cover"]),
        weeks=column["week_count"],
        is_fresh=np.array(fresh, dtype=np.bool_),
        shift=column["shift"],
    )
