"""Suggested prices: never beyond a guard rail, whatever demand says, and for a reason."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.pricing_suggest import Advice, Places, advise, places_of
from pipelines.settings import load_settings

SETTINGS = load_settings().pricing
ONE = Places(
    price=np.array([1000.0]),
    usual=np.array([1000.0]),
    paid_share=np.array([1.0]),
    cost=np.array([600.0]),
    units=np.array([50.0]),
    elasticity=np.array([-1.0]),
    deviation=np.array([0.2]),
    stock=np.array([1000.0]),
    cover=np.array([30.0]),
    weeks=np.array([40.0]),
    is_fresh=np.array([False]),
    shift=np.array([0.0]),
)


def place(**changes: float | bool) -> Places:
    return replace(ONE, **{name: np.array([value]) for name, value in changes.items()})


def ask(**changes: float | bool) -> tuple[int, str]:
    advice = advise(place(**changes), SETTINGS)
    return int(advice.price[0]), advice.reasons[0]


def test_demand_that_hardly_reacts_is_priced_up_by_one_step() -> None:
    assert ask() == (1050, "raised: a higher price costs few sales (elasticity -1.0 ± 0.3)")


def test_demand_that_reacts_much_is_priced_down_by_one_step() -> None:
    price, reason = ask(elasticity=-6.0)
    assert (price, reason) == (
        950,
        "lowered: a lower price wins many sales (elasticity -6.0 ± 0.3)",
    )


def test_a_price_stays_where_nobody_knows_better() -> None:
    price, reason = ask(elasticity=-2.5, deviation=1.5)
    assert price == 1000 and reason.startswith("stays: no allowed price surely earns more")


def test_too_little_history_and_a_fresh_price_stay() -> None:
    assert ask(weeks=7.0) == (1000, "stays: sold in 7 weeks, 8 are needed")
    assert ask(is_fresh=True) == (1000, "stays: changed less than a day ago")
    assert ask(is_fresh=True, cost=990.0)[0] == 1000


def test_all_steps_together_end_at_the_largest_distance_from_the_usual_price() -> None:
    assert 1140 < ask(price=1140.0)[0] <= 1150
    assert ask(price=1150.0)[0] == 1150
    assert ask(price=1300.0)[0] == 1300  # no further; and back where that pays
    assert ask(price=1300.0, elasticity=-9.0)[0] == 1235
    assert ask(price=850.0, elasticity=-9.0)[0] == 850


def test_a_price_below_the_margin_floor_is_raised_towards_it() -> None:
    price, reason = ask(cost=930.0, elasticity=-9.0)
    assert price >= 1034 and reason == "raised towards the margin floor of 10%"
    assert ask(cost=990.0, elasticity=-9.0)[0] == 1050
    assert ask(cost=860.0, elasticity=-20.0)[0] >= 956


def test_scarce_stock_is_never_priced_down_and_caps_what_is_sold() -> None:
    assert ask(elasticity=-6.0)[0] == 950
    price, reason = ask(elasticity=-6.0, cover=3.0, stock=20.0)
    assert price > 1000 and reason.endswith("; stock lasts 3 days")
    advice = advise(place(elasticity=-6.0, cover=3.0, stock=20.0), SETTINGS)
    assert advice.units[0].tolist() == [0.0, 0.0, 0.0]  # 20 are sold at either price


def test_stock_for_too_long_is_priced_to_sell() -> None:
    assert ask(elasticity=-1.8)[0] == 1050
    price, reason = ask(elasticity=-1.8, cover=300.0)
    assert price == 950 and "stock lasts 300 days and is to be sold" in reason


def test_a_shift_of_demand_is_told() -> None:
    assert ask(shift=0.5)[1].endswith("; demand is up 50%")
    assert ask(shift=-0.3)[1].endswith("; demand is down 30%")


def test_the_effect_is_that_of_the_elasticity_with_its_doubt() -> None:
    advice = advise(place(deviation=1e-9), SETTINGS)
    units = 50 * (1.05**-1 - 1)
    assert advice.units[0] == pytest.approx([units] * 3, rel=1e-6)
    profit = (1050 - 600) * 50 / 1.05 - (1000 - 600) * 50
    assert advice.profit[0] == pytest.approx([profit] * 3, rel=1e-6)
    doubtful = advise(ONE, SETTINGS)
    expected, low, high = doubtful.profit[0]
    assert low < expected < high and 0.8 <= doubtful.confidence[0] <= 1.0


def test_nothing_changes_without_an_effect_or_a_confidence() -> None:
    advice = advise(place(weeks=1.0), SETTINGS)
    assert advice.units[0].tolist() == advice.profit[0].tolist() == [0.0] * 3
    assert np.isnan(advice.confidence[0])


ANY = st.fixed_dictionaries(
    {
        "price": st.integers(1, 50_000).map(float),
        "usual": st.integers(1, 50_000).map(float),
        "paid_share": st.floats(0.3, 1.0),
        "cost": st.floats(0.1, 50_000),
        "units": st.floats(0, 1000),
        "elasticity": st.floats(-8, 1),
        "deviation": st.floats(0, 2),
        "stock": st.sampled_from([float("nan"), -5.0, 0.0, 3.0, 1e6]),
        "cover": st.sampled_from([float("nan"), 0.0, 3.0, 30.0, 1000.0]),
        "weeks": st.sampled_from([0.0, 8.0, 52.0]),
        "is_fresh": st.booleans(),
        "shift": st.floats(-1, 5),
    }
)


@given(ANY)
def test_no_guard_rail_is_ever_broken(given_place: dict[str, float]) -> None:
    advice = advise(place(**given_place), SETTINGS)
    now, then = given_place["price"], int(advice.price[0])
    assert abs(then - now) <= SETTINGS.largest_step * now + 1e-9 and then >= 1
    if then != now:
        assert given_place["weeks"] >= SETTINGS.min_week_count and not given_place["is_fresh"]
    if then < now:
        assert then * given_place["paid_share"] * 0.9 >= given_place["cost"] * (1 - 1e-9)
        assert not given_place["cover"] < SETTINGS.low_cover_days
        usual = given_place["usual"]
        assert abs(then / usual - 1) <= max(0.15, abs(now / usual - 1)) + 1e-9
    assert _is_sound(advice) and advice.reasons[0]


def _is_sound(advice: Advice) -> bool:
    both = np.concatenate([advice.units, advice.profit])
    return bool(np.isfinite(both).all() and (both[:, 1] <= both[:, 2] + 1e-9).all())


def test_rows_become_places() -> None:
    now = datetime(2017, 3, 2)
    rows = pa.table(
        {
            "price_cents": pa.array([100, 200], pa.int64()),
            "usual_shelf_cents": [120.0, None],
            "usual_price_cents": [90.0, 200.0],
            "last_price_cents": [45.0, 200.0],
            "cost_cents": [None, 77.0],
            "demand_shape": [20.0, 10.0],
            "demand_rate": [2.0, 1.0],
            "elasticity": [-1.0, -2.0],
            "elasticity_sd": [0.3, 0.3],
            "region_share": [0.5, 1.0],
            "quantity": pa.array([5, None], pa.int64()),
            "days_of_cover": [2.0, None],
            "week_count": pa.array([10, 20], pa.int32()),
            "shift": [0.1, 0.2],
            "changed_at": [now - timedelta(hours=23), now - timedelta(hours=25)],
        }
    )
    found = places_of(rows, now, SETTINGS)
    assert found.usual.tolist() == [120.0, 200.0]
    assert found.paid_share.tolist() == [0.75, 1.0]
    assert found.cost.tolist() == pytest.approx([0.7 * 90, 77.0])
    assert found.units.tolist() == pytest.approx([10 * 2 * 0.5, 10.0])  # at half the usual price
    assert found.is_fresh.tolist() == [True, False]
    assert np.isnan(found.stock[1]) and np.isnan(found.cover[1])
