"""The demand model, fitted category by category on Spark: elasticities with their uncertainty.

Two passes over the weekly rows. The first finds what each category shows by itself; from all of
them follow what categories have in common and the dispersion. The second finds each item's
coefficients, drawn towards its category's as far as its own history does not speak against it.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from ml.pricing_fit import (
    FIRST_GUESS,
    FIRST_PRECISION,
    Floats,
    Slopes,
    Weeks,
    dense,
    levels,
    multiples,
    slopes,
    spread,
)
from ml.pricing_pool import Common, common, deviations, pooled
from pipelines.errors import ModelError
from pipelines.settings_sections import PricingSettings

RECENT = 13  # weeks of units that are kept with an item
ITEM_ROWS = """
    item_id STRING, category STRING, elasticity DOUBLE, elasticity_sd DOUBLE, displayed DOUBLE,
    mailed DOUBLE, demand_shape DOUBLE, demand_rate DOUBLE, usual_price_cents DOUBLE,
    last_price_cents DOUBLE, week_count INT, recent ARRAY<DOUBLE>, actual ARRAY<DOUBLE>,
    multiple ARRAY<DOUBLE>
"""
_CATEGORY_ROWS = """
    category STRING, mean ARRAY<DOUBLE>, curvature ARRAY<DOUBLE>, chi DOUBLE, freedom DOUBLE,
    item_count INT
"""


@dataclass(frozen=True)
class Category:
    """Coefficients of a category (price, displayed, mailed), their deviations, its items."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    item_count: int


@dataclass(frozen=True)
class Demand:
    """A fitted model.

    Attributes:
        items: rows of ITEM_ROWS, one per item; `actual` and `multiple` are of the held-out weeks.
        categories: by name.
        common: what categories have in common.
        dispersion: variance of weekly units over their mean.
    """

    items: DataFrame
    categories: dict[str, Category]
    common: Common
    dispersion: float


def fit(
    panel: DataFrame, settings: PricingSettings, held_out: int, is_global: bool = False
) -> Demand:
    """Fit on the weeks before the held-out ones.

    Args:
        panel: of `pricing_panel.weekly`, with settings.weeks weeks.
        is_global: every item has the common coefficients; for comparison.

    Raises:
        ModelError: fewer than settings.min_items items were sold in the learned weeks.
    """
    weeks = settings.weeks

    def one_category(rows: pa.Table) -> pa.Table:
        return _category(dense(rows, weeks, held_out), _name(rows))

    by_category = panel.groupBy("category")
    alone = by_category.applyInArrow(one_category, _CATEGORY_ROWS).toArrow()
    count = sum(alone["item_count"].to_pylist())
    if count < settings.min_items:
        raise ModelError(
            f"{count} items with a price and sales are too few to learn prices from,"
            f" {settings.min_items} are needed; ingest more purchases or lower pricing.min_items"
        )
    dispersion = max(1.0, sum(alone["chi"].to_pylist()) / max(1, sum(alone["freedom"].to_pylist())))
    curvature = np.array(alone["curvature"].to_pylist()).reshape(-1, 3, 3) / dispersion
    found = Slopes(np.array(alone["mean"].to_pylist()), curvature)
    prior = common(found)
    mean, deviation = pooled(found, prior)
    if is_global:
        mean, deviation = np.repeat(prior.mean[None], len(mean), 0), np.zeros_like(deviation)
    categories = {
        name: Category(tuple(m), tuple(d), size)
        for name, m, d, size in zip(
            alone["category"].to_pylist(),
            mean.tolist(),
            deviation.tolist(),
            alone["item_count"].to_pylist(),
            strict=True,
        )
    }

    def its_items(rows: pa.Table) -> pa.Table:
        made, name = dense(rows, weeks, held_out), _name(rows)
        return _items(made, name, categories[name], dispersion, settings, is_global)

    return Demand(by_category.applyInArrow(its_items, ITEM_ROWS), categories, prior, dispersion)


def _name(rows: pa.Table) -> str:
    name: str = rows["category"][0].as_py()
    return name


def _category(made: Weeks, name: str) -> pa.Table:
    """One category by itself, as a row of _CATEGORY_ROWS, with a dispersion of 1."""
    one = np.zeros(len(made.items), np.int64)
    precision = np.full(3, FIRST_PRECISION)
    found = slopes(made, one, 1, FIRST_GUESS[None], precision, 1.0)
    chi, freedom = spread(made, found.mean[one]) if len(one) else (0.0, 0.0)
    return pa.table(
        {
            "category": pa.array([name], pa.string()),
            "mean": [found.mean[0].tolist()],
            "curvature": [found.curvature[0].ravel().tolist()],
            "chi": [chi],
            "freedom": [freedom],
            "item_count": pa.array([len(made.items)], pa.int32()),
        }
    )


def _items(
    made: Weeks,
    name: str,
    category: Category,
    dispersion: float,
    settings: PricingSettings,
    is_global: bool,
) -> pa.Table:
    """The items of one category, as rows of ITEM_ROWS."""
    count = len(made.items)
    prior = np.repeat(np.array(category.mean)[None], count, 0)
    own = np.arange(count)
    precision = 1 / (1 / settings.item_precision + np.array(category.deviation) ** 2)
    if is_global:
        mean, deviation = prior, np.zeros_like(prior)
    else:
        found = slopes(made, own, count, prior, precision, dispersion)
        mean, deviation = found.mean, deviations(found.curvature + np.diag(precision))
    return _rows(name, made, mean, deviation, settings)


def _rows(
    category: str, made: Weeks, mean: Floats, deviation: Floats, settings: PricingSettings
) -> pa.Table:
    shape, rate = levels(made, mean, settings.memory, settings.start_weeks)
    known, held_out = made.units[:, : made.learned], made.units[:, made.learned :]
    return pa.table(
        {
            "item_id": pa.array(made.items, pa.string()),
            "category": pa.array([category] * len(shape), pa.string()),
            "elasticity": mean[:, 0],
            "elasticity_sd": deviation[:, 0],
            "displayed": mean[:, 1],
            "mailed": mean[:, 2],
            "demand_shape": shape,
            "demand_rate": rate,
            "usual_price_cents": np.exp(made.usual_log_price),
            "last_price_cents": np.exp(made.last_log_price),
            "week_count": (known > 0).sum(axis=1).astype(np.int32),
            "recent": _lists(known[:, -RECENT:]),
            "actual": _lists(held_out),
            "multiple": _lists(multiples(made, mean)[:, made.learned :]),
        }
    )


def _lists(values: Floats) -> pa.Array:
    """A list for each row of a matrix."""
    return pa.array(values.tolist(), pa.list_(pa.float64()))
