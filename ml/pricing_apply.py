"""Suggestions as price_change events into the lake's own source; only if a setting says so."""

import hashlib
import json
import uuid
from collections.abc import Iterable
from datetime import UTC
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame

from pipelines.errors import ConfigError
from pipelines.settings import Settings
from pipelines.sources.connection import kafka
from pipelines.sources.dataset import Dataset, send

NAME = "price-suggestions"


def apply_suggestions(suggestions: DataFrame, settings: Settings) -> int:
    """Send every suggested change as an event, each once however often this is repeated.

    Args:
        suggestions: gold.price_suggestions.

    Returns:
        The number of changes.

    Raises:
        ConfigError: settings.pricing.apply is false, or the source takes no events from here.
    """
    if not settings.pricing.apply:
        raise ConfigError(
            "'pricing.apply' is false: suggestions are not applied; set it to true in conf/"
        )
    changes = suggestions.where("is_change").orderBy("item_id", "region").collect()
    events = [event(row.asDict()) for row in changes]
    if not events:
        return 0
    fingerprint = hashlib.sha256(b"\n".join(payload for _, payload in events)).hexdigest()
    if settings.source.kind == "kafka":
        with kafka(settings) as broker:
            dataset = Dataset(NAME, fingerprint, lambda: events)
            send(dataset, broker, rate=None, progress=lambda _: None)
    else:
        _land(settings, fingerprint, events)
    return len(events)


def event(suggestion: dict[str, Any]) -> tuple[bytes, bytes]:
    """Key and payload of the price_change that a row of gold.price_suggestions stands for."""
    at = suggestion["as_of_at"].astimezone(UTC)  # Spark gives it without a zone, as local time
    what = (suggestion["item_id"], suggestion["region"], at.isoformat())
    fields = {
        "event_id": str(uuid.uuid5(uuid.NAMESPACE_URL, "|".join(map(str, what)))),
        "event_type": "price_change",
        "occurred_at": f"{at:%Y-%m-%dT%H:%M:%S}Z",
        "item_id": suggestion["item_id"],
        "region": suggestion["region"],
        "price_cents": suggestion["suggested_cents"],
        "currency": suggestion["currency"],
        "attributes": {"reason": suggestion["reason"], "was_cents": suggestion["price_cents"]},
    }
    payload = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    return str(suggestion["item_id"]).encode(), payload.encode()


def _land(settings: Settings, fingerprint: str, events: Iterable[tuple[bytes, bytes]]) -> None:
    """One file of JSON Lines in the folder that events land in, whole or not at all."""
    folder, files = settings.in_lake(settings.source.files.path), settings.source.files
    if settings.source.kind != "files" or files.format != "json" or "://" in folder:
        raise ConfigError(
            "'pricing.apply' needs a source that takes events from here: Kafka, or a local folder"
            " of JSON files; set it to false or change 'source'"
        )
    name = f"{NAME}-{fingerprint[:16]}.jsonl"
    if (Path(folder) / name).exists():
        return
    part = Path(folder) / f"_{name}.part"
    part.write_bytes(b"".join(payload + b"\n" for _, payload in events))
    part.rename(Path(folder) / name)
