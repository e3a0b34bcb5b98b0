"""Elasticities from weekly units: recovered from sales that follow them, and from no others."""

import numpy as np
import pyarrow as pa
import pytest

from ml.pricing_fit import Weeks, dense, levels, multiples, slopes, spread
from ml.pricing_pool import deviations

TRUE = np.array([-1.8, 0.7, 0.3])
PRIOR = np.array([-1.0, 0.5, 0.5])
WEEKS, HELD_OUT = 52, 4


def shop(items: int, level: float = 20.0, seed: int = 17) -> pa.Table:
    """Weekly rows of items whose units are Poisson with the coefficients TRUE."""
    rng = np.random.default_rng(seed)
    price = 200 * np.exp(rng.normal(0, 0.25, (items, WEEKS)).round(1))
    displayed, mailed = (rng.random((items, WEEKS)) < 0.2).astype(float), np.zeros((items, WEEKS))
    usual = np.median(price, axis=1, keepdims=True)
    mean = level * np.exp(TRUE[0] * np.log(price / usual) + TRUE[1] * displayed)
    units = rng.poisson(mean).astype(float)
    item, week = np.indices(units.shape)
    return pa.table(
        {
            "item_id": [f"i{n:03}" for n in item.ravel()],
            "week": week.ravel().astype(np.int32),
            "units": units.ravel(),
            "paid_cents": (units * price).ravel(),
            "displayed": displayed.ravel(),
            "mailed": mailed.ravel(),
        }
    )


def fitted(
    weeks: Weeks, precision: float, dispersion: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    count = len(weeks.items)
    prior = np.repeat(PRIOR[None], count, 0)
    ridge = np.full(3, precision)
    found = slopes(weeks, np.arange(count), count, prior, ridge, dispersion)
    return found.mean, deviations(found.curvature + np.diag(ridge))


def test_coefficients_are_recovered_whatever_the_levels() -> None:
    for level in (20.0, 80.0):
        weeks = dense(shop(60, level), WEEKS, HELD_OUT)
        one = np.zeros(60, np.int64)
        found = slopes(weeks, one, 1, PRIOR[None], np.full(3, 1e-6), 1.0).mean[0]
        assert found[:2] == pytest.approx(TRUE[:2], abs=0.12)


def test_an_interval_holds_the_true_elasticity_as_often_as_it_says() -> None:
    mean, deviation = fitted(dense(shop(300), WEEKS, HELD_OUT), 0.01)
    held = np.abs(mean[:, 0] - TRUE[0]) < 1.645 * deviation[:, 0]
    assert 0.84 < held.mean() < 0.95


def test_an_item_without_price_changes_keeps_the_prior_and_its_doubt() -> None:
    rows = shop(3)
    flat = rows.set_column(
        rows.schema.get_field_index("paid_cents"), "paid_cents", [rows["units"].to_numpy() * 200.0]
    )
    mean, deviation = fitted(dense(flat, WEEKS, HELD_OUT), 8.0)
    assert mean[:, 0] == pytest.approx(PRIOR[0])
    assert deviation[:, 0] == pytest.approx(1 / np.sqrt(8.0))
    assert deviation[:, 1].max() < 1 / np.sqrt(8.0)  # of displays there is something to learn


def test_the_less_history_the_nearer_to_the_prior() -> None:
    long = dense(shop(40, 50.0), WEEKS, HELD_OUT)
    thin = dense(shop(40, 0.5), WEEKS, HELD_OUT)
    far, near = (np.abs(fitted(w, 8.0)[0][:, 0] - PRIOR[0]).mean() for w in (long, thin))
    assert near < far


def test_held_out_units_change_nothing_that_is_learned() -> None:
    rows = shop(10)
    held_out = rows["week"].to_numpy() >= WEEKS - HELD_OUT
    more = np.where(held_out, 7.0, 1.0)
    other = rows
    for name in ("units", "paid_cents"):
        at = other.schema.get_field_index(name)
        other = other.set_column(at, name, [other[name].to_numpy() * more])
    first, second = (dense(table, WEEKS, HELD_OUT) for table in (rows, other))
    assert (fitted(first, 8.0)[0] == fitted(second, 8.0)[0]).all()
    coefficients = np.repeat(TRUE[None], 10, 0)
    for one, two in zip(*(levels(w, coefficients, 0.9, 3.0) for w in (first, second)), strict=True):
        assert (one == two).all()
    assert np.allclose(multiples(first, coefficients), multiples(second, coefficients))


def test_a_week_without_a_sale_has_the_last_known_price() -> None:
    rows = pa.table(
        {
            "item_id": ["a"] * 3 + ["b"],
            "week": pa.array([1, 2, 4, 5], pa.int32()),
            "units": [1.0, 2.0, 1.0, 1.0],
            "paid_cents": [100.0, 400.0, 100.0, 50.0],
            "displayed": [0.0] * 4,
            "mailed": [0.0] * 4,
        }
    )
    weeks = dense(rows, 6, 1)
    assert list(weeks.items) == ["a"]  # b was not sold before the held-out week
    assert np.exp(weeks.usual_log_price).tolist() == pytest.approx([100.0])
    assert weeks.covariates[0, :, 0].tolist() == pytest.approx([0, 0, np.log(2), np.log(2), 0, 0])
    assert np.exp(weeks.last_log_price).tolist() == pytest.approx([100.0])


def test_the_level_is_what_was_sold_over_what_was_to_be_expected() -> None:
    units = np.array([[8.0, 2.0, 4.0]])
    covariates = np.zeros((1, 3, 3))
    covariates[0, 0, 0] = 1.0
    weeks = Weeks(np.array(["a"], object), units, covariates, np.zeros(1), np.zeros(1), 3)
    double = np.array([[np.log(2.0), 0.0, 0.0]])
    shape, rate = levels(weeks, double, memory=0.5, start=2.0)
    assert shape[0] == pytest.approx(0.25 * 8 + 0.5 * 2 + 4 + 2 * 14 / 4)
    assert rate[0] == pytest.approx(0.25 * 2 + 0.5 + 1 + 2)


def test_the_spread_of_poisson_units_is_one() -> None:
    weeks = dense(shop(100), WEEKS, HELD_OUT)
    chi, freedom = spread(weeks, np.repeat(TRUE[None], 100, 0))
    assert chi / freedom == pytest.approx(1.0, abs=0.1)


def test_no_items_are_no_trouble() -> None:
    empty = dense(shop(2).filter(pa.array([False] * 2 * WEEKS)), WEEKS, HELD_OUT)
    assert empty.units.shape == (0, WEEKS)
    assert slopes(empty, np.zeros(0, np.int64), 1, PRIOR[None], np.ones(3), 1.0).mean.tolist() == [
        PRIOR.tolist()
    ]
