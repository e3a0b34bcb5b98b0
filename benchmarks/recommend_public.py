"""MovieLens-100k by the protocol of the `recommenders` benchmark: nDCG@10, seen items removed.

75/25 by item, every rating counts. Nothing is tuned on the test part: each seed's training part is
split once more the same way, and what was best on that validation part, at the first seed, is used
for all. Ours is the product's own `ml.train` and `ml.recommend`; instead of earlier weeks its
ranker learns on parts of the training part that its item models have not seen.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from pyspark.sql import DataFrame, SparkSession

from benchmarks.recommend_data import as_purchases, moment_of, movielens, split_by_item
from benchmarks.recommend_peers import (
    Scores,
    best_of,
    co_occurrence,
    implicit_als,
    implicit_bpr,
    popularity,
    spark_als,
    top,
)
from benchmarks.recommend_quality import figures
from ml.items import know
from ml.linear import linear_model
from ml.recommend import recommend_all
from ml.train import fit, lesson
from pipelines.settings_sections import ModelSettings
from serving.recommender.ranking import Wish

ALS_GRID = [
    {"rank": rank, "regularization": regularization, "alpha": alpha}
    for rank in (16, 32)
    for regularization, alpha in ((0.1, 1.0), (1.0, 1.0), (1.0, 5.0), (10.0, 5.0), (30.0, 10.0))
]
# Spark scales the regularisation with a row's observations.
SPARK_GRID = [
    {"rank": 16, "regularization": regularization, "alpha": alpha}
    for regularization, alpha in ((0.02, 1.0), (0.1, 1.0), (0.05, 5.0))
]
BPR_GRID = [
    {"rank": rank, "rate": rate, "iterations": iterations}
    for rank in (32, 64)
    for rate in (0.01, 0.05)
    for iterations in (100, 400)
]
RIDGES = (100.0, 200.0, 400.0, 800.0)
FOLDS = 2


@dataclass
class Tally:
    """nDCG@10 and seconds to fit, by seed."""

    ndcg: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """Training rows and what is asked for, as matrices and as rows."""

    rows: pd.DataFrame
    asked: pd.DataFrame
    shape: tuple[int, int]

    @property
    def taste(self) -> sp.csr_matrix:
        return sp.csr_matrix(
            (np.ones(len(self.rows)), (self.rows.customer, self.rows.item)), self.shape
        )

    def ndcg(self, lists: Mapping[str, list[str]]) -> float:
        truth = {str(c): set(g.astype(str)) for c, g in self.asked.groupby("customer").item}
        category = {str(n): "film" for n in range(self.shape[1])}
        return float(figures(lists, truth, category, ()).ndcg.mean())

    def of_scores(self, scores: Scores) -> float:
        best = top(scores, seen=self.taste)
        return self.ndcg({str(c): [str(i) for i in row] for c, row in enumerate(best)})


def run(
    spark: SparkSession, settings: ModelSettings, folder: Path, seeds: range
) -> dict[str, Tally]:
    """Every way at every seed."""
    rows = movielens(folder)
    shape = (rows.customer.nunique(), rows.item.nunique())
    first, _ = split_by_item(rows, seeds[0])
    valid = Part(*split_by_item(first, 100 + seeds[0]), shape)
    als = best_of(ALS_GRID, lambda s: valid.of_scores(implicit_als(valid.taste, **s)))  # type: ignore[arg-type]
    bpr = best_of(BPR_GRID, lambda s: valid.of_scores(implicit_bpr(valid.taste, **s)))  # type: ignore[arg-type]
    fits = [(s, spark_als(spark, valid.taste, **s)) for s in SPARK_GRID]  # type: ignore[arg-type]
    lines = [({"ridge": ridge}, linear(valid.taste, ridge)) for ridge in RIDGES]
    own = max(fits, key=lambda fit: valid.of_scores(fit[1]))[0]
    ridge = max(lines, key=lambda line: valid.of_scores(line[1]))[0]
    both = max(
        ((one | other, valid.of_scores(standard(a) + standard(b))) for one, a in lines
         for other, b in fits),
        key=lambda pair: pair[1],
    )[0]  # fmt: skip
    print(f"chosen on validation: implicit ALS {als}, BPR {bpr}, Spark ALS {own},"
          f" linear alone {ridge}, ours {both}")  # fmt: skip
    ours = settings.model_copy(
        update={
            "learned_items": shape[1],
            "min_item_customers": 1,
            "neighbours": 400,
            "depth": 3,
            "iterations": 15,
            **both,
        }
    )
    tallies: dict[str, Tally] = {}
    for seed in seeds:
        part = Part(*split_by_item(rows, seed), shape)
        ways = {
            "popularity": lambda part=part: popularity(part.taste),
            "co-occurrence (SAR)": lambda part=part: co_occurrence(part.taste),
            "Spark implicit ALS": lambda part=part: spark_als(spark, part.taste, **own),
            "implicit ALS": lambda part=part: implicit_als(part.taste, **als),
            "implicit ALS, Spark's rank": lambda part=part: implicit_als(
                part.taste, **als | {"rank": own["rank"]}
            ),
            "implicit BPR": lambda part=part: implicit_bpr(part.taste, **bpr),
            "linear alone": lambda part=part: linear(part.taste, ridge["ridge"]),
        }
        for name, way in ways.items():
            started = time.perf_counter()
            scores = way()
            took = time.perf_counter() - started
            _add(tallies, name, part.of_scores(scores), took)
        started = time.perf_counter()
        lists = recommended(spark, ours, part.rows, seed)
        _add(tallies, "ours", part.ndcg(lists), time.perf_counter() - started)
        told = ", ".join(f"{name} {tally.ndcg[-1]:.4f}" for name, tally in tallies.items())
        print(f"seed {seed}: {told}", flush=True)
    return tallies


def linear(taste: sp.csr_matrix, ridge: float) -> Scores:
    """The product's linear model alone, on the strengths that the product gives it."""
    strength = taste * np.log1p(1.0)
    near, weight = linear_model(strength.tocsr(), ridge, 400)
    ends = np.arange(0, near.size + 1, near.shape[1])
    weights = sp.csr_matrix((weight.ravel(), near.ravel(), ends), (taste.shape[1],) * 2)
    return np.asarray((strength @ weights).toarray(), dtype=np.float32)


def standard(scores: Scores) -> Scores:
    """Scores in standard deviations of each customer's."""
    apart: Scores = scores - scores.mean(axis=1, keepdims=True)
    return apart / np.maximum(scores.std(axis=1, keepdims=True), 1e-9)


def recommended(
    spark: SparkSession, settings: ModelSettings, rows: pd.DataFrame, seed: int
) -> dict[str, list[str]]:
    """What the product recommends, trained on these rows."""
    moment = moment_of(rows)
    taught = []
    for fold in range(FOLDS):
        kept, held = split_by_item(rows, 1000 * (seed + 1) + fold)
        wanted = _frame(spark, held).select("customer_id", "item_id")
        taught.append(lesson(know(_frame(spark, kept), moment, settings), wanted, settings))
    found = fit(know(_frame(spark, rows), moment, settings), taught, settings)
    offered = recommend_all(found.model, found.known.histories, Wish(k=10, bought=False))
    lists: dict[str, list[str]] = {}
    for row in offered.orderBy("customer_id", "rank").collect():
        lists.setdefault(row["customer_id"], []).append(row["item_id"])
    for one in taught:
        one.forget()
    return lists


def _frame(spark: SparkSession, rows: pd.DataFrame) -> DataFrame:
    import pyarrow as pa

    return spark.createDataFrame(pa.Table.from_pandas(as_purchases(rows), preserve_index=False))


def _add(tallies: dict[str, Tally], name: str, ndcg: float, took: float) -> None:
    tally = tallies.setdefault(name, Tally())
    tally.ndcg.append(ndcg)
    tally.seconds.append(took)
