"""Histories in Arrow batches, as Spark hands them to Python, to the recommender's own."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from ml.features import HISTORY
from serving.recommender.history import History
from serving.recommender.model import Model


def histories_of(model: Model, batch: pa.RecordBatch) -> Iterator[tuple[str, History]]:
    """The customers of a batch of `ml.features.histories`, without copying their arrays."""
    columns: dict[str, Any] = {name: batch[name] for name in HISTORY}
    values = {name: column.flatten().to_numpy() for name, column in columns.items()}
    ends = columns["item"].value_lengths().to_numpy().cumsum()
    alone = batch.select(["customer_id", "visits", "recent_visits", "last_visit_age", "region"])
    start = 0
    for end, one in zip(ends.tolist(), alone.to_pylist(), strict=True):
        held = {name: column[start:end] for name, column in values.items()}
        start = end
        yield (
            one["customer_id"],
            History(
                items=held.pop("item"),
                **held,
                visits=one["visits"],
                recent_visits=one["recent_visits"],
                last_visit_age=one["last_visit_age"],
                region=model.region_of.get(one["region"], -1),
            ),
        )
