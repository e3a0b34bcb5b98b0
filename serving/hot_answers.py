"""The hot lists as the API and the dashboard find them in the online store."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipelines.errors import StoreError
from serving.online import Answer, OnlineStore

SELLERS, TRENDING, PULSE = "hot_top_sellers", "hot_trending", "hot_lists"
FRESH = timedelta(seconds=60)  # what is older the dashboard does not call live
SHOWN = 10


def hot_answer(store: OnlineStore, kind: str, place: str) -> Answer | None:
    """The hot list of a place, as of when its counter last heard the broker.

    None where nothing counts just now, or nothing was counted there: what was published holds.
    """
    pulse = _get(store, PULSE, PULSE)
    return _counted(store, pulse, kind, place) if pulse else None


def with_hot_lists(
    store: OnlineStore, panel: Mapping[str, Any], category: str, region: str
) -> dict[str, Any]:
    """The panel of items with the hot lists in place of gold's, where they are there and fresh.

    `live` then says over how many seconds they are counted.
    """
    place = f"{category or '*'}|{region or '*'}"
    pulse = _get(store, PULSE, PULSE)
    sellers = _counted(store, pulse, SELLERS, place) if pulse else None
    if pulse is None or sellers is None or datetime.now(UTC) - sellers.published_at > FRESH:
        return dict(panel)
    trending = _counted(store, pulse, TRENDING, place)
    return {
        **{name: value for name, value in panel.items() if name != "missing"},
        "currency": None,  # no revenue is counted
        "top_sellers": _rows(sellers, category),
        "trending": _rows(trending, category) if trending else [],
        "live": {name: pulse.value[name] for name in ("window_s", "trend_s")},
    }


def _counted(store: OnlineStore, pulse: Answer, kind: str, place: str) -> Answer | None:
    found = _get(store, kind, place)
    if found is None or not found.value["items"]:
        return None
    return replace(found, published_at=datetime.fromisoformat(pulse.value["heard_at"]))


def _get(store: OnlineStore, kind: str, key: str) -> Answer | None:
    try:
        return store.get(kind, key)
    except StoreError:  # what was published may still be answered from the last good copy
        return None


def _rows(answer: Answer, category: str) -> list[dict[str, Any]]:
    return [{**row, "category": category or None} for row in answer.value["items"][:SHOWN]]
