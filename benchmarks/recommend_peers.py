"""What ours is measured beside: each fits a matrix of customers x items and scores all of it."""

import warnings
from collections.abc import Callable, Iterable

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALS
from pyspark.sql import SparkSession

Scores = NDArray[np.float32]
warnings.filterwarnings("ignore", message="OpenBLAS")


def popularity(taste: sp.csr_matrix) -> Scores:
    """How many customers have each item, the same for all."""
    count = np.asarray((taste > 0).sum(axis=0), dtype=np.float32).ravel()
    return np.broadcast_to(count, taste.shape).copy()


def co_occurrence(taste: sp.csr_matrix) -> Scores:
    """Jaccard similarity of items, as SAR of the `recommenders` project has it by default."""
    has = (taste > 0).astype(np.float32)
    both = (has.T @ has).toarray()
    each = np.diag(both)
    similar = both / np.maximum(each[:, None] + each[None, :] - both, 1)
    return np.asarray(taste @ similar, dtype=np.float32)


def item_knn(taste: sp.csr_matrix, neighbours: int = 200) -> Scores:
    """Cosine of items, each item's `neighbours` nearest alone."""
    lengths = np.sqrt(np.asarray(taste.multiply(taste).sum(axis=0)).ravel())
    unit = (taste @ sp.diags(1 / np.maximum(lengths, 1e-9))).tocsc().astype(np.float32)
    kept = []
    for start in range(0, unit.shape[1], 1000):
        near = (unit[:, start : start + 1000].T @ unit).toarray()
        near[np.arange(len(near)), start + np.arange(len(near))] = 0
        least = np.partition(near, -neighbours, axis=1)[:, -neighbours][:, None]
        kept.append(sp.csr_matrix(np.where(near >= np.maximum(least, 1e-9), near, 0)))
    return np.asarray((taste @ sp.vstack(kept).T).toarray(), dtype=np.float32)


def implicit_als(
    taste: sp.csr_matrix, *, rank: int, regularization: float, alpha: float, iterations: int = 15
) -> Scores:
    """The library `implicit`."""
    model = AlternatingLeastSquares(
        factors=rank,
        regularization=regularization,
        alpha=alpha,
        iterations=iterations,
        random_state=1,
    )
    model.fit(taste.astype(np.float32), show_progress=False)
    scores: Scores = model.user_factors @ model.item_factors.T
    return scores


def implicit_bpr(taste: sp.csr_matrix, *, rank: int, rate: float, iterations: int) -> Scores:
    """Bayesian personalised ranking of the library `implicit`."""
    model = BayesianPersonalizedRanking(
        factors=rank, learning_rate=rate, regularization=0.01, iterations=iterations, random_state=1
    )
    model.fit(taste.astype(np.float32), show_progress=False)
    scores: Scores = model.user_factors @ model.item_factors.T
    return scores


def spark_als(
    spark: SparkSession,
    taste: sp.csr_matrix,
    *,
    rank: int,
    regularization: float,
    alpha: float,
    iterations: int = 15,
) -> Scores:
    """Spark ML's implicit ALS."""
    cells = taste.tocoo()
    rows = spark.createDataFrame(
        list(zip(cells.row.tolist(), cells.col.tolist(), cells.data.tolist(), strict=True)),
        "user INT, item INT, rating FLOAT",
    )
    model = ALS(
        rank=rank,
        maxIter=iterations,
        regParam=regularization,
        alpha=alpha,
        implicitPrefs=True,
        seed=1,
    ).fit(rows.persist())
    sides = []
    for found, count in ((model.userFactors, taste.shape[0]), (model.itemFactors, taste.shape[1])):
        side = np.zeros((count, rank), np.float32)
        for row in found.collect():
            side[row["id"]] = row["features"]
        sides.append(side)
    rows.unpersist()
    scores: Scores = sides[0] @ sides[1].T
    return scores


def best_of(
    settings: Iterable[dict[str, float]], figure: Callable[[dict[str, float]], float]
) -> dict[str, float]:
    """Those settings whose figure on the validation part is highest."""
    return max(settings, key=figure)


def top(scores: Scores, k: int = 10, seen: sp.csr_matrix | None = None) -> NDArray[np.int64]:
    """The best `k` items of each row, those `seen` left out."""
    if seen is not None:
        rows, items = seen.nonzero()
        scores = scores.copy()
        scores[rows, items] = -np.inf
    best = np.argpartition(-scores, k, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
