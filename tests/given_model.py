"""A small model of the recommender, and customers for it, from a seed."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from serving.online import OnlineStore
from serving.recommender.features import FEATURES
from serving.recommender.history import History
from serving.recommender.model import STATISTICS, Model

AT = datetime(2017, 12, 31, tzinfo=UTC)
HISTORY = {
    "items": ["i3", "gone", "i1"],
    "baskets": [2.0, 1.0, 1.0],
    "first_age": [30.0, 9.0, 8.0],
    "last_age": [5.0, 9.0, 8.0],
    "recent": [1.0, 0.5, 0.5],
    "lasting": [1.5, 0.8, 0.8],
    "visits": 4.0,
    "recent_visits": 2.0,
    "last_visit_age": 5.0,
    "region": "south",
}


def some_model(
    seed: int = 1,
    *,
    items: int = 40,
    learned: int = 30,
    rank: int = 4,
    trees: int = 6,
    depth: int = 3,
) -> Model:
    """Items i0, i1, … in four categories and two regions, with a ranker of random trees."""
    chance = np.random.default_rng(seed)
    near = np.stack([chance.permutation(np.delete(np.arange(learned), n)) for n in range(learned)])
    weights = np.sort(chance.normal(0.05, 0.1, (learned, 8)).astype(np.float32))[:, ::-1].copy()
    statistics = chance.random((items, len(STATISTICS))).astype(np.float32)
    return Model(
        item_ids=np.array([f"i{n}" for n in range(items)]),
        category=(np.arange(items) % 4).astype(np.int32),
        categories=np.array(["dairy", "bakery", "tools", "tea"]),
        statistics=statistics,
        regions=np.array(["north", "south"]),
        region_share=chance.random((2, items)).astype(np.float32),
        neighbours=near[:, :8].astype(np.int32),
        weights=weights,
        factors=chance.normal(size=(learned, rank)).astype(np.float32),
        als=np.array([1.0, 0.05], np.float32),
        popular=np.arange(items, dtype=np.int32)[:20],
        newcomers=np.array([items - 1, items - 2], np.int32),
        splits=chance.integers(0, len(FEATURES), (trees, 2**depth - 1)).astype(np.int32),
        thresholds=chance.normal(0.3, 1, (trees, 2**depth - 1)).astype(np.float32),
        leaves=chance.normal(size=(trees, 2**depth)).astype(np.float32),
        blend=np.array([1, 0.5, 0.25], np.float32),
    )


def a_customer(seed: int = 1, *, items: int = 40, bought: int = 6, region: int = 0) -> History:
    """Somebody who bought some of the items."""
    chance = np.random.default_rng(seed)
    held = np.sort(chance.choice(items, bought, replace=False)).astype(np.int32)
    baskets = chance.integers(1, 5, bought).astype(np.float32)
    last = chance.uniform(1, 60, bought).astype(np.float32)
    return History(
        items=held,
        baskets=baskets,
        first_age=last + 20 * (baskets - 1),
        last_age=last,
        recent=baskets / 2,
        lasting=baskets * np.float32(0.8),
        visits=9.0,
        recent_visits=2.0,
        last_visit_age=float(last.min(initial=60)),
        region=region,
    )


def release(store: OnlineStore, models: Path, version: str, seed: int) -> None:
    """Publish a model as `lakehouse publish` does: the arrays first, then the one key."""
    digest = some_model(seed).save(models / version)
    entry = {"folder": version, "digest": digest, "model_version": version}
    store.publish("model", [("current", entry)], version=version, published_at=AT)
