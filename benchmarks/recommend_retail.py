"""The retail year: trained on the first 48 weeks, asked for what was bought in the last four.

Ours is `ml.train`'s own backtest: item models of the 48 weeks, a ranker that learned on weeks 45 to
48 from what was known before them. All settings were chosen on those weeks, the peers' too, here in
the run; the last four were not looked at.
"""

import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse as sp
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from benchmarks import recommend_speed
from benchmarks.recommend_data import year
from benchmarks.recommend_peers import (
    Scores,
    best_of,
    implicit_als,
    item_knn,
    popularity,
    top,
)
from benchmarks.recommend_quality import Figures, figures
from ml.features import lines
from ml.recommend import recommend_all
from ml.train import train
from pipelines.settings_sections import ModelSettings
from pipelines.sources.completejourney_data import Journey
from serving.recommender.ranking import Wish

ALS_GRID = [
    {"rank": rank, "regularization": regularization, "alpha": 1.0}
    for rank in (64, 128)
    for regularization in (0.05, 1.0)
]
KNN_GRID = [{"neighbours": n} for n in (50, 200)]
Results = dict[str, tuple[Figures, Figures]]
Lists = dict[str, list[str]]
Speeds = dict[str, tuple[float, float]]


class Cut:
    """Purchases before a moment as a matrix, and what was bought in the four weeks after it."""

    def __init__(self, rows: pd.DataFrame, moment: pd.Timestamp) -> None:
        until = moment + timedelta(weeks=4)
        self.seen = rows[rows.occurred_at < moment]
        after = rows[(rows.occurred_at >= moment) & (rows.occurred_at < until)]
        self.customers = pd.Index(np.unique(self.seen.customer_id))
        self.items = pd.Index(np.unique(self.seen.item_id))
        baskets = self.seen.groupby(["customer_id", "item_id"]).basket_id.nunique()
        row = self.customers.get_indexer(baskets.index.get_level_values(0))
        column = self.items.get_indexer(baskets.index.get_level_values(1))
        shape = (len(self.customers), len(self.items))
        self.baskets = sp.csr_matrix((baskets.to_numpy(float), (row, column)), shape)
        self.truth = _sets(after)
        had = pd.MultiIndex.from_frame(self.seen[["customer_id", "item_id"]])
        asked = pd.MultiIndex.from_frame(after[["customer_id", "item_id"]])
        self.fresh = _sets(after[~asked.isin(had)])
        last = rows.drop_duplicates("item_id").set_index("item_id").category
        self.category = last[last.index.isin(self.items)].to_dict()
        buyers = np.asarray((self.baskets > 0).sum(axis=0)).ravel()
        self.popular = self.items[np.argsort(-buyers, kind="stable")].tolist()

    @property
    def taste(self) -> sp.csr_matrix:
        return self.baskets.log1p()

    def judged(self, lists: Lists, fresh: Lists) -> tuple[Figures, Figures]:
        """Figures for everything bought and for what was new to the customer."""
        return (
            figures(lists, self.truth, self.category, self.popular),
            figures(fresh, self.fresh, self.category, self.popular),
        )

    def of_scores(self, scores: Scores) -> tuple[Figures, Figures]:
        names, customers = self.items.to_numpy(), self.customers
        every, fresh = (
            {c: names[row].tolist() for c, row in zip(customers, best, strict=True)}
            for best in (top(scores), top(scores, seen=self.baskets))
        )
        return self.judged(every, fresh)


def run(spark: SparkSession, settings: ModelSettings, journey: Journey) -> tuple[Results, Speeds]:
    """Ours and each peer, for everything bought and for what was new to the customer; speeds."""
    rows = year(journey)
    end = rows.occurred_at.max() + timedelta(microseconds=1)
    start = end - timedelta(weeks=4)
    valid = Cut(rows, start - timedelta(weeks=4))
    # Each peer is tuned for what it is compared on: items new to the customer.
    als = best_of(ALS_GRID, lambda s: _new(valid, implicit_als(valid.taste, **s)))  # type: ignore[arg-type]
    knn = best_of(KNN_GRID, lambda s: _new(valid, item_knn(valid.taste, **s)))  # type: ignore[arg-type]
    print(f"chosen on weeks 45 to 48: implicit ALS {als}, item-kNN {knn}", flush=True)
    cut = Cut(rows, start)
    ways: dict[str, Callable[[], Scores]] = {
        "popularity": lambda: popularity(cut.baskets),
        "personal top frequency": lambda: frequency(cut),
        "implicit ALS": lambda: implicit_als(cut.taste, **als),  # type: ignore[arg-type]
        "item-kNN": lambda: item_knn(cut.taste, **knn),  # type: ignore[arg-type]
    }
    results = {name: cut.of_scores(way()) for name, way in ways.items()}
    started = time.perf_counter()
    lists, speeds = _ours(spark, settings, rows, end)
    results |= {name: cut.judged(*both) for name, both in lists.items()}
    print(f"ours: trained and asked in {time.perf_counter() - started:.0f} s", flush=True)
    return results, speeds


def frequency(cut: Cut) -> Scores:
    """In how many baskets a customer had an item; popularity decides ties and fills up."""
    buyers = np.asarray((cut.baskets > 0).sum(axis=0), dtype=np.float32).ravel()
    return np.asarray(cut.baskets.toarray(), dtype=np.float32) + 0.5 * buyers / buyers.max()


def _ours(
    spark: SparkSession, settings: ModelSettings, rows: pd.DataFrame, end: pd.Timestamp
) -> tuple[dict[str, tuple[Lists, Lists]], Speeds]:
    """The product's lists for everything and for new items, plain and capped; and its speeds."""
    table = pa.Table.from_pandas(rows, preserve_index=False)
    bought = lines(spark.createDataFrame(table)).persist()
    trained = train(bought, end.tz_localize(None).to_pydatetime(), settings)
    backtest = trained.backtest
    people = backtest.known.histories.persist()
    found: dict[str, tuple[Lists, Lists]] = {}
    for name, cap in (("ours", 0), ("ours, two of a category", 2)):
        wishes = (Wish(per_category=cap), Wish(per_category=cap, bought=False))
        every, fresh = (_lists(recommend_all(backtest.model, people, wish)) for wish in wishes)
        found[name] = every, fresh
    bought.unpersist()
    served, now = trained.served.model, trained.served.known.histories.persist()
    speeds = {
        "batch": recommend_speed.batch_rate(served, now),
        "online": recommend_speed.online(served, now),
        "a million": recommend_speed.a_million(served, now),
    }
    print(f"batch: {speeds['batch'][0]:.0f} customers/s per core, numpy over all items"
          f" {speeds['batch'][1]:.0f}")  # fmt: skip
    print(f"online over {len(served.item_ids):,} items: p50 {speeds['online'][0]:.2f} ms, p99"
          f" {speeds['online'][1]:.2f} ms; over a million: p50 {speeds['a million'][0]:.2f} ms,"
          f" p99 {speeds['a million'][1]:.2f} ms")  # fmt: skip
    return found, speeds


def _lists(rows: DataFrame) -> dict[str, list[str]]:
    ranked = F.sort_array(F.collect_list(F.struct("rank", "item_id")))
    listed = rows.groupBy("customer_id").agg(ranked.alias("ranked"))
    found = listed.select("customer_id", F.col("ranked.item_id").alias("items")).collect()
    return {row["customer_id"]: row["items"] for row in found}


def _new(cut: Cut, scores: Scores) -> float:
    return float(cut.of_scores(scores)[1].ndcg.mean())


def _sets(rows: pd.DataFrame) -> dict[str, set[str]]:
    return {str(c): set(items) for c, items in rows.groupby("customer_id").item_id}
