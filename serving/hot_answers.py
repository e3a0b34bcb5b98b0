"""The hot lists as the API finds them in the online store."""

from dataclasses import replace

from pipelines.errors import StoreError
from serving.online import Answer, OnlineStore

SELLERS, TRENDING, PULSE = "hot_top_sellers", "hot_trending", "hot_lists"


def hot_answer(store: OnlineStore, kind: str, place: str) -> Answer | None:
    """The hot list of a place, as of the last sign of life of what counts.

    None where nothing counts just now, or nothing was counted there: what was published holds.
    """
    try:
        pulse = store.get(PULSE, PULSE)
        found = store.get(kind, place) if pulse else None
    except StoreError:  # what was published may still be answered from the last good copy
        return None
    if pulse is None or found is None or not found.value["items"]:
        return None
    return replace(found, published_at=pulse.published_at)
