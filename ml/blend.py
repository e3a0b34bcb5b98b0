"""How much the item models' own scores count beside the ranker, for what a customer never bought.

The ranker may spoil what an item model found: on MovieLens-100k it did, where there is nothing but
who saw what. So their blend is chosen by what customers bought of whom the ranker learned nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

from ml.batches import histories_of
from serving.recommender.candidates import candidates, taste_of
from serving.recommender.features import Question, features
from serving.recommender.model import Codes, Floats, Model
from serving.recommender.ranking import sources
from serving.recommender.trees import margins

K = 10
_STEPS = (0.0, 0.25, 0.5, 1.0, 2.0)
# Weights of the ranker's margin, the linear model and the ALS; the first is the ranker alone, the
# last five are without it.
BLENDS: Floats = np.array(
    [(1, linear, als) for linear in _STEPS for als in _STEPS]
    + [(0, 1, 0), (0, 0, 1), (0, 1, 1), (0, 2, 1), (0, 1, 2)],
    np.float32,
)
_GAIN = 1 / np.log2(np.arange(2, K + 2))
_IDEAL = np.cumsum(_GAIN)


def choose(asked: Sequence[tuple[DataFrame, Model]]) -> Floats:
    """The blend with the highest mean nDCG@10 for what is new to customers; the first if equal.

    Args:
        asked: `ml.ranker.askers` that the ranker did not learn of, and the model with the ranker
            that was fitted before what they wanted.
    """
    tables = [asking.mapInArrow(_judged(model), "ndcg ARRAY<DOUBLE>") for asking, model in asked]
    found = [row for table in tables for row in table.toArrow()["ndcg"].to_pylist()]
    best = int(np.mean(found, axis=0).argmax()) if found else 0
    chosen: Floats = BLENDS[best]
    return chosen


def ndcg_of_blends(question: Question, wanted: Codes) -> Floats | None:
    """nDCG@10 by each blend of what was wanted and is new; None if nothing was.

    Args:
        wanted: item numbers, -1 for each item that the model does not know.
    """
    model, fresh = question.model, question.own < 0
    new = wanted[~np.isin(wanted, question.history.items)]
    if not len(new) or not fresh.any():
        return None
    margin = margins(model.splits, model.thresholds, model.leaves, features(question))
    liking = BLENDS @ sources(question, margin)[fresh].T
    hits = np.isin(question.items[fresh], new)
    first = np.argsort(-liking, axis=1, kind="stable")[:, :K]
    ideal = _IDEAL[min(len(new), K) - 1]
    found: Floats = (hits[first] * _GAIN[: first.shape[1]]).sum(axis=1) / ideal
    return found


def _judged(model: Model) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def judge(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            asked = batch["wanted"].to_pylist()
            rows = []
            for (_, history), wanted in zip(histories_of(model, batch), asked, strict=True):
                taste = taste_of(model, history)
                question = Question(model, history, taste, candidates(model, history, taste))
                found = ndcg_of_blends(question, np.array(wanted, np.int32))
                if found is not None:
                    rows.append(found.tolist())
            column = pa.array(rows, pa.list_(pa.float64()))
            yield pa.RecordBatch.from_arrays([column], names=["ndcg"])

    return judge
