"""Pricing on a real retail year: predicted units and their intervals beside simpler models.

The last four weeks are only measured on. The model, like its peer with one elasticity for all, is
fitted on the weeks before; how far units scatter is learned from weeks 45 to 48 with a fit on the
weeks before those. Measured are the items sold in at least half of the weeks before. Prices and
promotions of a week are known to both models, as a shop knows its own; units are not.
"""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame, SparkSession

from benchmarks.measure import lake
from benchmarks.recommend_data import households
from ml.pricing_fit import Floats
from ml.pricing_model import fit
from ml.pricing_panel import weekly
from ml.pricing_predict import (
    Forecast,
    absolute_error,
    calibrated,
    coverage,
    forecast,
    regular,
)
from pipelines.settings import Settings
from pipelines.settings_sections import PricingSettings
from pipelines.sources.completejourney_data import Journey
from pipelines.sources.completejourney_json import category_name
from pipelines.sources.completejourney_promotions import promotions

TEST_WEEKS = 4
SEED = 17
RESAMPLES = 1000


def retail_year(spark: SparkSession, journey: Journey) -> tuple[DataFrame, DataFrame, datetime]:
    """Purchases and promotions as rows of silver, and the instant after the last purchase."""
    end = datetime.fromtimestamp(int(journey.lines.at.max()) + 1, UTC).replace(tzinfo=None)
    bought, promoted = _purchases(journey), _promotions(journey)
    return spark.createDataFrame(bought), spark.createDataFrame(promoted), end


def measured(
    spark_rows: tuple[DataFrame, DataFrame], end: datetime, settings: PricingSettings
) -> dict[str, float]:
    """Errors and coverage on the last weeks."""
    earlier = end - timedelta(weeks=TEST_WEEKS)
    before = settings.model_copy(update={"weeks": settings.weeks - TEST_WEEKS})
    tuned = fit(_panel(spark_rows, earlier, before), before, TEST_WEEKS)
    noise = calibrated(forecast(regular(tuned.items.toArrow(), before.weeks - TEST_WEEKS)))
    panel = _panel(spark_rows, end, settings)
    model = fit(panel, settings, TEST_WEEKS)
    items = regular(model.items.toArrow().sort_by("item_id"), settings.weeks - TEST_WEEKS)
    own = forecast(items)
    plain = fit(panel, settings, TEST_WEEKS, is_global=True)
    same = plain.items.toArrow().sort_by("item_id")
    same = same.filter(pc.is_in(same["item_id"], items["item_id"].combine_chunks()))
    peers = {
        "last value": own.recent[:, -1:],
        "moving average of 4": own.recent[:, -4:].mean(axis=1, keepdims=True),
        "moving average of 8": own.recent[:, -8:].mean(axis=1, keepdims=True),
        "one elasticity for all": forecast(same).mean,
        "here": own.mean,
    }
    print(f"\n{len(items):,} items sold in half of the weeks, last {TEST_WEEKS} weeks")
    print(f"{'units of an item in a week':28}{'MAE':>8}{'RMSE':>8}{'WAPE':>8}")
    for name, mean in peers.items():
        print(f"  {name:26}" + "".join(f"{v:>8.3f}" for v in _errors(own, mean)))
    figures = {f"{name} MAE": _errors(own, mean)[0] for name, mean in peers.items()}
    gains = _interval(own, peers["one elasticity for all"])
    covered = coverage(own, noise)
    print(f"  error below one elasticity for all: {gains[0]:.4f} to {gains[1]:.4f} (95 %)")
    print(f"  90 % interval covers {covered:.1%}; extra {noise.extra:.3f}, tail {noise.tail:.4f}")
    print(
        f"  common elasticity {model.common.mean[0]:.2f}, between categories"
        f" {model.common.spread[0]:.2f}, dispersion {model.dispersion:.2f}"
    )
    return figures | {"interval_coverage": covered, "gain_low": gains[0], "gain_high": gains[1]}


def run(spark: SparkSession, settings: Settings, journey: Journey) -> dict[str, float]:
    """Print the table; returns the figures."""
    bought, promoted, end = retail_year(spark, journey)
    rows = bought.persist(), promoted.persist()
    figures = measured(rows, end, settings.pricing)
    for frame in rows:
        frame.unpersist()
    covered, error = figures["interval_coverage"], figures["here MAE"]
    print(f"pricing interval_coverage={covered:.3f} mae={error:.3f}")
    return figures


def main() -> None:
    """Pricing alone; `make bench-recommend` has it beside the others."""
    with lake() as (spark, settings):
        run(spark, settings, households())


def _panel(
    rows: tuple[DataFrame, DataFrame], end: datetime, settings: PricingSettings
) -> DataFrame:
    return weekly(*rows, end, settings.weeks, held_out=TEST_WEEKS).persist()


def _errors(own: Forecast, mean: Floats) -> tuple[float, float, float]:
    apart = np.broadcast_to(mean, own.actual.shape) - own.actual
    total = own.actual.sum()
    return (
        absolute_error(mean, own.actual),
        float(np.sqrt((apart**2).mean())),
        float(np.abs(apart).sum() / total),
    )


def _interval(own: Forecast, other: Floats) -> tuple[float, float]:
    """95 % interval of how much lower our absolute error is, by a bootstrap over items."""
    gain = (np.abs(other - own.actual) - np.abs(own.mean - own.actual)).mean(axis=1)
    rng = np.random.default_rng(SEED)
    draws = gain[rng.integers(0, len(gain), (RESAMPLES, len(gain)))].mean(axis=1)
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def _purchases(journey: Journey) -> pa.Table:
    lines = journey.lines.take(journey.lines.quantity > 0)
    category = pa.array([category_name(row) if row else None for row in journey.products])
    return pa.table(
        {
            "event_id": lines.row.astype(str),
            "occurred_at": pa.array(lines.at * 1_000_000, pa.timestamp("us", tz="UTC")),
            "item_id": pa.array(journey.product_ids.astype(str)).take(pa.array(lines.product)),
            "region": lines.region.astype(str),
            "category": category.take(pa.array(lines.product)),
            "quantity": lines.quantity,
            "price_cents": lines.price_cents,
            "amount_cents": lines.amount_cents,
        }
    )


def _promotions(journey: Journey) -> pa.Table:
    promoted = promotions(journey)
    return pa.table(
        {
            "occurred_at": pa.array(promoted.at * 1_000_000, pa.timestamp("us", tz="UTC")),
            "item_id": pa.array(journey.product_ids.astype(str)).take(pa.array(promoted.product)),
            "region": promoted.region.astype(str),
            "placement": promoted.placement,
            "duration_days": promoted.duration_days,
        }
    )


if __name__ == "__main__":
    main()
