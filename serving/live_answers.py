"""Answers from what is published and what reactions have learned since."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from pipelines.errors import StoreError
from serving import live_values as values
from serving.leaning import CLICKED, Item, shown
from serving.online import Answer, OnlineStore


def prices(store: OnlineStore, item_id: str) -> Answer | None:
    """The prices of an item by region, under `prices`; None if none is known."""
    return _both(store, item_id, ("prices", values.PRICES), "prices", values.prices)


def inventory(store: OnlineStore, item_id: str) -> Answer | None:
    """The stock of an item by region, under `levels`; None if none is known."""
    return _both(store, item_id, ("inventory", values.STOCK), "levels", values.levels)


def recommended(
    store: OnlineStore, items: Sequence[Item], customer_id: str, session_id: str, region: str
) -> list[Item]:
    """Of some items, the best first, what to offer a customer in a visit.

    Left out is what the customer bought meanwhile, and what is short: in the region if one is
    given, else wherever stock is kept.
    """
    keys = [f"c:{customer_id}", *([f"s:{session_id}"] if session_id else ())]
    tastes = _known(store, values.TASTE, keys).values()
    clicks = _latest(click for taste in tastes for click in taste.value["clicks"])
    bought = _known(store, values.BOUGHT, [customer_id]).get(customer_id)
    looked_at = list(dict.fromkeys(click[2] for click in clicks))[:CLICKED]
    alike = _known(store, "similar", looked_at) if looked_at else {}
    similar = {item_id: answer.value["items"] for item_id, answer in alike.items()}
    candidates = shown(
        items, out=bought.value["items"] if bought else (), clicks=clicks, similar=similar
    )
    short = _known(store, values.SHORT, [item["item_id"] for item in candidates])
    out = {
        item_id
        for item_id, answer in short.items()
        if (region in answer.value["regions"] if region else answer.value["everywhere"])
    }
    return [item for item in candidates if item["item_id"] not in out] if out else candidates


def _known(store: OnlineStore, kind: str, keys: Sequence[str]) -> dict[str, Answer]:
    """What is live of some keys.

    Nothing where the store is away and no copy was made of the kind: there may be none.
    """
    try:
        return store.get_many(kind, keys)
    except StoreError:
        return {}


def _latest(clicks: Iterable[Any]) -> list[Any]:
    """Clicks, each once, the newest first."""
    return sorted({tuple(click) for click in clicks}, reverse=True)[: values.KEPT_CLICKS]


def _both(
    store: OnlineStore,
    key: str,
    kinds: tuple[str, str],
    name: str,
    joined: Callable[[Any, Any], list[values.Row]],
) -> Answer | None:
    published = store.get(kinds[0], key)
    live = _known(store, kinds[1], [key]).get(key)
    if live is None:
        return published
    rows = joined(published.value[name] if published else (), live.value)
    if published is None:
        return replace(live, value={name: rows}) if rows else None
    return Answer(
        {name: rows},
        published.version,
        max(published.published_at, live.published_at),
        published.stale or live.stale,
    )
