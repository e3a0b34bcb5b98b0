"""From a lake to suggested prices: what `lakehouse price` writes, logs, publishes and sends."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from ml import tracking
from ml.pricing import price_items
from ml.pricing_apply import apply_suggestions, event
from pipelines.errors import ConfigError, LakeError, ModelError
from pipelines.gold.elasticities import ELASTICITIES
from pipelines.gold.price_suggestions import PRICE_SUGGESTIONS
from pipelines.io.read import read, version_of
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.inventory_changes import INVENTORY_CHANGES
from pipelines.silver.items import ITEMS
from pipelines.silver.price_changes import PRICE_CHANGES
from pipelines.silver.purchases import PURCHASES
from pipelines.table import Table
from pipelines.views.refresh import refresh
from serving.lmdb_store import LmdbStore
from serving.suggested_prices import KIND

Rows = Callable[[Table, list[dict[str, Any]]], DataFrame]
START, WEEKS = datetime(2017, 1, 2), 20
ALWAYS = {
    "source": "s", "source_partition": 0, "source_offset": 0, "event_id": "e", "payload_hash": 0,
    "occurred_at": START, "produced_at": START, "region": "north", "currency": "USD",
}  # fmt: skip
SLOPES = {"TEA": -0.6, "MILK": -5.0}
VIEWS = ["current_prices", "inventory_levels", "stockout_risk"]


def sales(items_each: int) -> list[dict[str, Any]]:
    """Weekly sales that follow the price by the slope of their category."""
    rng = np.random.default_rng(17)
    rows = []
    for category, slope in SLOPES.items():
        for item in range(items_each):
            for week in range(WEEKS):
                price = round(500 * float(np.exp(rng.normal(0, 0.15))))
                if week == WEEKS - 1:
                    price = 500
                units = int(rng.poisson(15 * (price / 500) ** slope))
                day = START + timedelta(weeks=week, days=2, minutes=item)
                rows += [
                    {
                        "event_id": f"{category}-{item}-{week}-{line}",
                        "basket_id": f"{category}-{item}-{week}-{line}",
                        "occurred_at": day,
                        "item_id": f"{category}-{item}",
                        "category": category,
                        "quantity": 1,
                        "price_cents": price,
                        "amount_cents": price,
                    }
                    for line in range(units)
                ]
    return rows


@pytest.fixture
def fill(rows: Rows, lake: Settings) -> Callable[[Table, list[dict[str, Any]]], None]:
    def put(table: Table, given: list[dict[str, Any]]) -> None:
        write(rows(table, [ALWAYS | row for row in given]), lake, table)

    return put


def small(settings: Settings, **changes: Any) -> Settings:
    given = {"weeks": WEEKS, "test_weeks": 2, "min_items": 4, "cost_share": 0.6} | changes
    pricing = settings.pricing.model_copy(update=given)
    return settings.model_copy(update={"pricing": pricing})


def test_a_lake_becomes_suggestions_once_for_what_moved(
    spark: SparkSession, lake: Settings, fill: Callable[..., None]
) -> None:
    settings, store = small(lake), LmdbStore(lake.state / "online")
    fill(PURCHASES, sales(4))
    items = [f"{category}-{item}" for category in SLOPES for item in range(4)]
    fill(PRICE_CHANGES, [{"item_id": item, "price_cents": 500} for item in items])
    with pytest.raises(LakeError, match="does not exist yet"):
        price_items(spark, settings, store)
    fill(INVENTORY_CHANGES, [{"item_id": item, "delta_quantity": 500} for item in items])
    refresh(spark, lake, VIEWS)
    done = price_items(spark, settings, store)
    assert (done.is_fitted, done.is_suggested, done.places) == (True, True, 8)
    known = {r["name"]: r for r in read(spark, lake, ELASTICITIES.name).collect()}
    for category, slope in SLOPES.items():
        row = known[category]
        assert row["kind"] == "category" and row["item_count"] == 4
        assert row["elasticity_low"] - 0.5 < slope < row["elasticity_high"] + 0.5
    suggested = {r["item_id"]: r for r in read(spark, lake, PRICE_SUGGESTIONS.name).collect()}
    assert {r["is_change"] for r in suggested.values()} == {True}
    assert all(suggested[f"TEA-{n}"]["suggested_cents"] == 525 for n in range(4))
    assert all(suggested[f"MILK-{n}"]["suggested_cents"] == 475 for n in range(4))
    shown = store.get(KIND, "TEA-0")
    assert shown is not None and shown.value["suggestions"][0]["suggested_cents"] == 525
    _run_is_logged(lake)
    again = price_items(spark, settings, store)
    assert (again.is_fitted, again.is_suggested, again.changes) == (False, False, 8)
    version = version_of(spark, lake, ELASTICITIES.name)
    fill(ITEMS, [{"item_id": "MILK-0", "title": "Milk"}])
    moved = price_items(spark, settings, store)
    assert (moved.is_fitted, moved.is_suggested) == (False, True)
    assert version_of(spark, lake, ELASTICITIES.name) == version


def _run_is_logged(settings: Settings) -> None:
    mlflow = tracking._mlflow(settings, "/Shared/retail-pricing")
    (run,) = mlflow.search_runs(output_format="list")
    assert run.data.metrics["mae_model"] < run.data.metrics["mae_last_value"]
    assert {"version of silver.purchases", "margin_floor"} <= set(run.data.params)
    learned = mlflow.artifacts.load_dict(f"{run.info.artifact_uri}/learned.json")
    assert learned["common"]["price"] < 0


def test_too_little_to_learn_from_is_refused(
    spark: SparkSession, lake: Settings, fill: Callable[..., None]
) -> None:
    fill(PRICE_CHANGES, [{"item_id": "a", "price_cents": 500}])
    refresh(spark, lake, VIEWS)
    with pytest.raises(ModelError, match=r"^0 items .* 4 are needed; ingest more purchases"):
        price_items(spark, small(lake), LmdbStore(lake.state / "online"))


SUGGESTION = {
    "item_id": "a",
    "region": "north",
    "currency": "USD",
    "price_cents": 100,
    "suggested_cents": 105,
    "is_change": True,
    "reason": "raised",
    "as_of_at": datetime(2017, 3, 1, 10, tzinfo=UTC),
}


def test_changes_are_sent_once_and_only_if_a_setting_says_so(lake: Settings, rows: Rows) -> None:
    stays = SUGGESTION | {"item_id": "b", "is_change": False}
    suggestions = rows(PRICE_SUGGESTIONS, [SUGGESTION, stays])
    with pytest.raises(ConfigError, match=r"'pricing.apply' is false"):
        apply_suggestions(suggestions, lake)
    settings, landing = small(lake, apply=True), Path(lake.root) / "landing"
    assert apply_suggestions(suggestions, settings) == 1
    assert apply_suggestions(suggestions, settings) == 1
    (file,) = landing.iterdir()
    (line,) = file.read_text().splitlines()
    sent = json.loads(line)
    assert sent["event_type"] == "price_change" and sent["price_cents"] == 105
    assert apply_suggestions(suggestions.where("false"), settings) == 0


def test_a_sent_change_is_a_valid_event(
    spark: SparkSession, lake: Settings, take_in: Callable[..., None]
) -> None:
    key, payload = event(SUGGESTION)
    assert key == b"a"
    take_in(lake, [payload])
    (row,) = read(spark, lake, PRICE_CHANGES.name).collect()
    assert (row["price_cents"], row["region"]) == (105, "north")
    assert row["occurred_at"].astimezone(UTC) == SUGGESTION["as_of_at"]


def test_a_source_that_takes_no_events_from_here_says_so(lake: Settings, rows: Rows) -> None:
    files = lake.source.files.model_copy(update={"format": "csv"})
    source = lake.source.model_copy(update={"files": files})
    settings = small(lake, apply=True).model_copy(update={"source": source})
    with pytest.raises(ConfigError, match="needs a source that takes events from here"):
        apply_suggestions(rows(PRICE_SUGGESTIONS, [SUGGESTION]), settings)
