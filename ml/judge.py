"""A backtest: what models that stopped before the held-out weeks say of them, and how fast."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.batches import histories_of
from ml.evaluate import Quality, evaluate, per_customer, popular_share
from ml.features import before, bought_between, histories_at
from ml.promote import Lift, paired_lift
from ml.recommend import recommend_all
from serving.recommender.model import Model
from serving.recommender.ranking import Wish, recommend

K = 10
_TIMED = 200  # customers


@dataclass(frozen=True)
class Evaluation:
    """Held-out quality of a version beside the best sellers for everyone.

    Attributes:
        start: first instant of the held-out weeks.
        model, popularity: for everything bought in them.
        new: of items that the customer had never bought before.
        popular_share: share of all places that the hundred most recommended items hold.
        nulls: share of customers whose list is shorter than ten.
        latency_p99_ms: of one recommendation in process.
        lift: nDCG@10 for everything bought over the champion's; None if there is none.
    """

    version: str
    start: datetime
    model: Quality
    new: Quality
    popularity: Quality
    popular_share: float
    nulls: float
    latency_p99_ms: float
    lift: Lift | None

    def metrics(self) -> dict[str, float]:
        """All figures by name, for the run."""
        flat = {name: getattr(self, name) for name in ("popular_share", "nulls", "latency_p99_ms")}
        for name in ("model", "new", "popularity", "lift"):
            part = getattr(self, name)
            if part is not None:
                flat |= {f"{name}_{key}": value for key, value in asdict(part).items()}
        return flat


def judge(
    rows: DataFrame, start: datetime, end: datetime, models: Sequence[Model], version: str
) -> Evaluation:
    """Ask models what was bought from `start` up to `end`.

    Args:
        rows: `ml.features.lines`.
        models: the one to judge, and the champion if there is another; fitted before `start`.
    """
    model = models[0]
    truth = bought_between(rows, start, end).persist()
    had = before(rows, start).select("customer_id", "item_id").distinct()
    fresh = truth.join(had, ["customer_id", "item_id"], "left_anti").persist()
    people = histories_at(rows, start, model.item_ids.tolist()).persist()
    listed = recommend_all(model, people, Wish(k=K)).persist()
    unseen = recommend_all(model, people, Wish(k=K, bought=False)).persist()
    best = rows.sparkSession.createDataFrame(
        [(n, str(model.item_ids[item])) for n, item in enumerate(model.popular[:K].tolist(), 1)],
        "rank INT, item_id STRING",
    )
    same = truth.select("customer_id").distinct().crossJoin(F.broadcast(best))
    items = len(model.item_ids)
    scores = _scores(listed, truth)
    result = Evaluation(
        version=version,
        start=start,
        model=evaluate(listed, truth, items, K),
        new=evaluate(unseen, fresh, items, K),
        popularity=evaluate(same, truth, items, K),
        popular_share=popular_share(listed, K),
        nulls=float((scores["listed"] < min(K, items)).mean()) if len(scores["listed"]) else 0.0,
        latency_p99_ms=latency_p99_ms(model, people),
        lift=_lift(rows, start, truth, scores["ndcg"], models[1:]),
    )
    for frame in (truth, fresh, people, listed, unseen):
        frame.unpersist()
    return result


def _lift(
    rows: DataFrame,
    start: datetime,
    truth: DataFrame,
    ours: NDArray[np.float64],
    champions: Sequence[Model],
) -> Lift | None:
    for champion in champions:
        people = histories_at(rows, start, champion.item_ids.tolist())
        theirs = _scores(recommend_all(champion, people, Wish(k=K)), truth)
        return paired_lift(ours, theirs["ndcg"])
    return None


def _scores(listed: DataFrame, truth: DataFrame) -> dict[str, NDArray[np.float64]]:
    """nDCG and length of the list of each customer who bought something, in their order."""
    found: pa.Table = per_customer(listed, truth, K).orderBy("customer_id").toArrow()
    return {name: found[name].to_numpy().astype(float) for name in ("ndcg", "listed")}


def latency_p99_ms(model: Model, people: DataFrame) -> float:
    """The 99th percentile of one recommendation over some customers, in the thread's own time.

    On the clock it would tell of whatever else this machine has to do.
    """
    took = []
    for batch in people.limit(_TIMED).toArrow().combine_chunks().to_batches():
        for _, history in histories_of(model, batch):
            started = time.thread_time()
            recommend(model, history, Wish(k=K))
            took.append(time.thread_time() - started)
    return float(np.percentile(took, 99) * 1000) if took else 0.0
