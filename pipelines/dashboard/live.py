"""How the streams and the views are doing just now."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipelines.dashboard.tables import Row, Tables
from pipelines.settings import Settings
from pipelines.streams import StreamState, load_streams

_MINUTES = """
SELECT date_trunc('minute', ended_at) AS minute_at, sum(valid) AS valid,
    sum(refused + duplicate + late + seen) AS other
FROM silver.batches
WHERE ended_at > (SELECT max(ended_at) FROM silver.batches) - INTERVAL 60 MINUTE
GROUP BY minute_at ORDER BY minute_at
"""
_REACHED = "SELECT max(watermark) AS watermark FROM silver.batches"
_VIEWS = """
SELECT view, max(refreshed_at) AS refreshed_at, arg_max(strategy, refreshed_at) AS strategy,
    arg_max(seconds, refreshed_at) AS seconds
FROM gold.refreshes GROUP BY view ORDER BY view
"""
_HIDDEN = ("process", "process_started_at", "status")


def live(settings: Settings, tables: Tables) -> Row:
    """Streams with their rate and lag, events by minute, and when each view changed last.

    `minutes` ends with the newest batch, whenever that was.
    """
    has_batches = tables.has("silver.batches")
    return {
        "streams": [_told(stream) for stream in load_streams(settings.state)],
        "minutes": tables.rows(_MINUTES) if has_batches else [],
        "watermark": tables.one(_REACHED)["watermark"] if has_batches else None,
        "views": tables.rows(_VIEWS) if tables.has("gold.refreshes") else [],
    }


def _told(stream: StreamState) -> Mapping[str, Any]:
    told = {name: value for name, value in asdict(stream).items() if name not in _HIDDEN}
    return {**told, "condition": stream.condition}
