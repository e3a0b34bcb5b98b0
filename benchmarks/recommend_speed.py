"""How fast: batch beside a numpy brute force, one answer in process, and with a million items."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from pyspark.sql import DataFrame

from benchmarks.measure import CORES
from ml.batches import histories_of
from ml.recommend import recommend_all
from serving.recommender.history import History
from serving.recommender.model import STATISTICS, Model
from serving.recommender.ranking import Wish, recommend

ASKED = 2000
MILLION = 1_000_000


def batch_rate(model: Model, people: DataFrame, rounds: int = 3) -> tuple[float, float]:
    """Customers ranked per second and core: ours on Spark, and numpy scoring every item by ALS.

    Both give ten items; the brute force has no ranker, no reasons and no filters.
    """
    people.count()
    customers = people.count()
    took = min(
        _seconds(lambda: recommend_all(model, people, Wish()).count()) for _ in range(rounds)
    )
    tastes = np.random.default_rng(1).normal(size=(customers, model.factors.shape[1]))
    scored = np.zeros((len(model.item_ids), model.factors.shape[1]), np.float32)
    scored[: model.learned] = model.factors

    def brute() -> None:
        for start in range(0, customers, 64):
            scores = tastes[start : start + 64].astype(np.float32) @ scored.T
            np.argpartition(-scores, 10, axis=1)

    return customers / took / CORES, customers / min(_seconds(brute) for _ in range(2)) / CORES


def online(model: Model, people: DataFrame) -> tuple[float, float]:
    """p50 and p99 in milliseconds of one recommendation in process, over real customers."""
    some = people.limit(ASKED).toArrow().combine_chunks().to_batches()
    histories = [history for batch in some for _, history in histories_of(model, batch)]
    return _percentiles(model, histories)


def a_million(model: Model, people: DataFrame) -> tuple[float, float]:
    """The same with a million items: the model's own, and as many synthetic ones as are missing.

    Every item has statistics, a category and a region's share; a hundred thousand are learned,
    with random neighbours and factors.
    """
    chance = np.random.default_rng(2)
    missing, learned = MILLION - len(model.item_ids), 100_000
    rank, keep = model.factors.shape[1], model.neighbours.shape[1]
    names = np.array([f"synthetic-{n}" for n in range(missing)])
    wide = replace(
        model,
        item_ids=np.concatenate([model.item_ids, names]),
        category=chance.integers(0, len(model.categories), MILLION, dtype=np.int32),
        statistics=chance.random((MILLION, len(STATISTICS)), dtype=np.float32),
        region_share=chance.random((len(model.regions), MILLION), dtype=np.float32),
        neighbours=chance.integers(0, learned, (learned, keep), dtype=np.int32),
        weights=chance.normal(0, 0.05, (learned, keep)).astype(np.float32),
        factors=chance.normal(0, 0.1, (learned, rank)).astype(np.float32),
    )
    return online(wide, people)


def _percentiles(model: Model, histories: list[History]) -> tuple[float, float]:
    for history in histories[:50]:
        recommend(model, history, Wish())
    took = np.array([_seconds(lambda h=h: recommend(model, h, Wish())) for h in histories])  # type: ignore[misc]
    return float(np.percentile(took, 50) * 1000), float(np.percentile(took, 99) * 1000)


def _seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started
