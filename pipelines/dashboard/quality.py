"""What was refused and why, down to the bytes, and what the last validation found."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from pipelines.dashboard.tables import MissingError, Row, Tables
from pipelines.registry import QUARANTINES
from pipelines.silver.late_events import LATE_EVENTS

KEPT = (*(table.name for table in QUARANTINES), LATE_EVENTS.name)
MOST_BYTES = 4096  # of a payload
_OUTCOMES = "valid, refused, duplicate, late, seen"
_SUMS = ", ".join(f"sum({name}) AS {name}" for name in _OUTCOMES.split(", "))
_TOTALS = f"SELECT {_SUMS}, max(ended_at) AS ended_at FROM silver.batches"  # noqa: S608
_DAYS = f"""
SELECT CAST(ended_at AS DATE) AS day, {_SUMS} FROM silver.batches
GROUP BY day ORDER BY day DESC LIMIT 30
"""  # noqa: S608  constants of this module
_CHECKS = """
SELECT
    table_name, reason, arg_max(rows, to_version) AS rows, sum(failures) AS failures,
    max(validated_at) AS validated_at
FROM silver.quality GROUP BY table_name, reason HAVING sum(failures) > 0
ORDER BY failures DESC, table_name, reason LIMIT 50
"""


def quality(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """What became of all events, and how many of which table were kept aside for which reason."""
    kept = []
    for name in KEPT:
        if tables.has(name):
            counts = f"SELECT unnest(reasons) AS reason, count(*) AS events FROM {name} GROUP BY 1"  # noqa: S608  a name of the registry
            kept += [{"table": name, **row} for row in tables.rows(f"{counts} ORDER BY 2 DESC, 1")]
    return {
        "total": tables.one(_TOTALS),
        "days": tables.rows(_DAYS)[::-1],
        "kept": sorted(kept, key=lambda row: -row["events"]),
        "failed_checks": tables.rows(_CHECKS) if tables.has("silver.quality") else [],
    }


def quarantine(tables: Tables, asked: Mapping[str, Any]) -> Row:
    """Events that a table refused for a reason, the latest first, with their bytes in Base64.

    Raises:
        KeyError: no table of that name keeps what was refused.
    """
    name, reason = asked["table"], asked["reason"]
    if name not in KEPT:
        raise KeyError(name)
    try:
        found = tables.rows(
            f"""
            SELECT
                event_id, reasons, produced_at, source, source_partition, source_offset,
                octet_length(payload) AS size_bytes, payload[1:{MOST_BYTES}] AS payload
            FROM {name} WHERE $reason = '' OR list_contains(reasons, $reason)
            ORDER BY produced_at DESC NULLS LAST, source, source_partition, source_offset DESC
            LIMIT $limit
            """,  # noqa: S608  the name is one of the registry's
            reason=reason,
            limit=asked["limit"],
        )
    except MissingError:  # nothing was ever refused
        found = []
    events = [{**row, "payload": _base64(row["payload"])} for row in found]
    return {"table": name, "reason": reason, "events": events}


def _base64(payload: bytes | None) -> str | None:
    return None if payload is None else b64encode(payload).decode()
