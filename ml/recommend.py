"""Recommendations for all customers, distributed: each task holds the arrays and asks them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame

from ml.batches import histories_of
from serving.recommender.model import Model
from serving.recommender.ranking import Wish, recommend, told

_SCHEMA = (
    "customer_id STRING, rank INT, item_id STRING, score DOUBLE, reason STRING, because STRING"
)
_ARROW = pa.schema(
    [
        ("customer_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("score", pa.float64()),
        ("reason", pa.string()),
        ("because", pa.string()),
    ]
)


def recommend_all(model: Model, histories: DataFrame, wish: Wish) -> DataFrame:
    """The best items of each customer, with the columns of `_SCHEMA`; rank 1 is the best.

    Args:
        histories: `ml.features.histories`, with the item numbers of this model.
        wish: the same for everybody.
    """
    return histories.mapInArrow(_ranked(model, wish), _SCHEMA)


def _ranked(
    model: Model, wish: Wish
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def rank(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        ids = model.item_ids
        for batch in batches:
            rows: list[tuple[Any, ...]] = []
            for customer, history in histories_of(model, batch):
                for place, pick in enumerate(recommend(model, history, wish), start=1):
                    because = told(model, pick)
                    item = str(ids[pick.item])
                    rows.append((customer, place, item, pick.score, str(pick.why), because))
            columns = list(zip(*rows, strict=True)) or [()] * len(_ARROW)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, _ARROW, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=_ARROW)

    return rank
