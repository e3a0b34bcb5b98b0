"""From gold.price_suggestions to the online store."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from serving.online import JSONValue, OnlineStore
from serving.suggested_prices import KIND, SuggestedPrice


def publish_suggestions(suggestions: DataFrame, store: OnlineStore, version: int) -> int:
    """Publish what `GET /v1/prices/{item_id}` shows beside the prices; returns the items.

    Args:
        suggestions: gold.price_suggestions.
        version: of that table.
    """
    shown = [name for name in SuggestedPrice.model_fields if name != "region"]
    lists = suggestions.groupBy("item_id").agg(
        F.sort_array(F.collect_list(F.struct("region", *shown))).alias("suggestions")
    )
    value = F.to_json(F.struct("suggestions"), {"ignoreNullFields": "false"})
    texts = lists.select("item_id", value.alias("value")).toArrow()

    def entries() -> Iterator[tuple[str, JSONValue]]:
        for batch in texts.to_batches():
            for row in batch.to_pylist():
                yield row["item_id"], json.loads(row["value"])

    return store.publish(KIND, entries(), version=str(version), published_at=datetime.now(UTC))
