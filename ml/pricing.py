"""Prices from the lake: fit demand if there is more of it, then suggest, for whatever moved."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ml import tracking
from ml.pricing_apply import apply_suggestions
from ml.pricing_fit import COVARIATES
from ml.pricing_model import Demand, fit
from ml.pricing_panel import weekly
from ml.pricing_places import elasticity_rows, places, suggested
from ml.pricing_predict import absolute_error, calibrated, coverage, forecast, regular
from ml.pricing_publish import publish_suggestions
from pipelines.gold.elasticities import ELASTICITIES
from pipelines.gold.price_suggestions import PRICE_SUGGESTIONS
from pipelines.io.read import last_metadata, read, version_of
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.settings_sections import PricingSettings
from pipelines.silver.items import ITEMS
from pipelines.silver.promotions import PROMOTIONS
from pipelines.silver.purchases import PURCHASES
from serving.online import OnlineStore

PRICES, STOCK = "gold.current_prices", "gold.stockout_risk"
LEARNED_FROM = (PURCHASES.name, PROMOTIONS.name)


@dataclass(frozen=True)
class Priced:
    """What a run did; counts are of places, items in regions.

    Attributes:
        is_fitted: the demand model was learned anew, since there were more purchases.
        is_suggested: prices were suggested anew, since something had moved.
    """

    is_fitted: bool
    is_suggested: bool
    places: int
    changes: int
    applied: int

    @property
    def told(self) -> str:
        """The same in words."""
        how = "suggested anew" if self.is_suggested else "nothing moved"
        demand = ", demand learned anew" if self.is_fitted else ""
        sent = f"; {self.applied:,} sent as price_change events" if self.applied else ""
        return f"{self.changes:,} of {self.places:,} prices to change ({how}{demand}){sent}"


def price_items(spark: SparkSession, settings: Settings, store: OnlineStore) -> Priced:
    """Bring gold.elasticities and gold.price_suggestions up to date; neither if nothing moved.

    Suggestions are published, and applied only if settings.pricing.apply says so.

    Raises:
        ModelError: too few items with prices and sales.
        LakeError: gold.current_prices or gold.stockout_risk was never refreshed.
    """
    names = (*LEARNED_FROM, ITEMS.name, PRICES, STOCK)
    versions = {name: version_of(spark, settings, name) for name in names}
    parameters = settings.pricing.model_dump(exclude={"apply"})
    learned = {name: versions[name] for name in LEARNED_FROM}
    model = json.dumps({"learned": learned, "parameters": parameters})
    everything = json.dumps({"seen": versions, "parameters": parameters})
    is_fitted = last_metadata(spark, settings, ELASTICITIES.name) != model
    rows = {n: read(spark, settings, n, version=v) for n, v in versions.items()}
    if is_fitted:
        demand = _fit(settings, rows, learned)
        write(elasticity_rows(spark, demand), settings, ELASTICITIES, metadata=model)
    is_suggested = is_fitted or last_metadata(spark, settings, PRICE_SUGGESTIONS.name) != everything
    if is_suggested:
        known = read(spark, settings, ELASTICITIES.name)
        as_of = newest(rows[PURCHASES.name], rows[PRICES].select("changed_at"))
        found = places(known, rows[PRICES], rows[STOCK], rows[ITEMS.name], rows[PURCHASES.name])
        advice = suggested(found, as_of, settings.pricing)
        write(advice.select(*PRICE_SUGGESTIONS.columns), settings, PRICE_SUGGESTIONS,
              metadata=everything)  # fmt: skip
    done = read(spark, settings, PRICE_SUGGESTIONS.name)
    publish_suggestions(done, store, version_of(spark, settings, PRICE_SUGGESTIONS.name))
    applied = apply_suggestions(done, settings) if settings.pricing.apply else 0
    counts = done.agg(F.count("*"), F.count_if("is_change")).collect()[0]
    return Priced(is_fitted, is_suggested, counts[0], counts[1], applied)


def newest(purchases: DataFrame, changes: DataFrame) -> datetime:
    """The newest instant that the data show, in UTC: this is now."""
    times = purchases.select(F.col("occurred_at").alias("changed_at")).union(changes)
    micros = times.agg(F.unix_micros(F.max("changed_at"))).collect()[0][0]
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micros or 0)


def _fit(settings: Settings, rows: dict[str, DataFrame], versions: dict[str, int]) -> Demand:
    """Measure the model on the held-out weeks, log that, and fit it on all weeks."""
    pricing = settings.pricing
    bought, promoted = (rows[name] for name in LEARNED_FROM)
    end = newest(bought, bought.select(F.col("occurred_at").alias("changed_at")))
    end += timedelta(seconds=1)
    panel = partial(weekly, bought, promoted, end, pricing.weeks)
    held_out = panel(held_out=pricing.test_weeks).persist()
    metrics = measure(fit(held_out, pricing, pricing.test_weeks), pricing)
    held_out.unpersist()
    demand = fit(panel().persist(), pricing, 0)
    tracking.log_fit(
        settings,
        "pricing",
        parameters=pricing.model_dump(),
        data_versions=versions,
        metrics=metrics,
        learned={
            "common": dict(zip(COVARIATES, demand.common.mean.tolist(), strict=True)),
            "spread": dict(zip(COVARIATES, demand.common.spread.tolist(), strict=True)),
            "dispersion": demand.dispersion,
        },
        inputs=dict.fromkeys(COVARIATES, "double"),
        outputs={"units": "double"},
    )
    return demand


def measure(demand: Demand, pricing: PricingSettings) -> dict[str, float]:
    """Error on the held-out weeks of items that sell regularly, beside simple forecasts.

    The noise is calibrated on the first half of the items and its coverage told of the others.
    Empty if no item sells regularly.
    """
    items = regular(demand.items.toArrow().sort_by("item_id"), pricing.weeks - pricing.test_weeks)
    if len(items) < 2:
        return {}
    own = forecast(items)
    even = np.arange(len(items)) % 2 == 0
    noise = calibrated(forecast(items.filter(pa.array(even))))
    means = {
        "model": own.mean,
        "last_value": own.recent[:, -1:],
        "moving_average": own.recent[:, -8:].mean(axis=1, keepdims=True),
    }
    errors = {f"mae_{name}": absolute_error(mean, own.actual) for name, mean in means.items()}
    covered = coverage(forecast(items.filter(pa.array(~even))), noise)
    return errors | {"interval_coverage": covered, "items": float(len(items))}
