"""Answers from what is published and what reactions have learned since."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from typing import Any

from serving import live_values as values
from serving.leaning import CLICKED, Item, shown
from serving.lookup import beside
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
    clicks = clicked(store, customer_id, session_id)
    looked_at = list(dict.fromkeys(click[2] for click in clicks))[:CLICKED]
    alike = store.get_many("similar", looked_at) if looked_at else {}
    similar = {item_id: answer.value["items"] for item_id, answer in alike.items()}
    out = bought(store, customer_id)
    candidates = shown(items, out=out, clicks=clicks, similar=similar)
    out = short(store, (item["item_id"] for item in candidates), region)
    return [item for item in candidates if item["item_id"] not in out] if out else candidates


def clicked(store: OnlineStore, customer_id: str, session_id: str) -> list[Any]:
    """Time, id, item id and category of the last clicks of a customer and a visit, newest first."""
    keys = [f"c:{customer_id}", *([f"s:{session_id}"] if session_id else ())]
    tastes = beside(store, values.TASTE, keys).values()
    return _latest(click for taste in tastes for click in taste.value["clicks"])


def bought(store: OnlineStore, customer_id: str) -> Set[str]:
    """What a customer bought lately."""
    answer = beside(store, values.BOUGHT, [customer_id]).get(customer_id)
    return answer.value["items"].keys() if answer else frozenset()


def short(store: OnlineStore, item_ids: Iterable[str], region: str) -> Set[str]:
    """Those of some items that are short: in the region if one is given, else everywhere."""
    return {
        item_id
        for item_id, answer in beside(store, values.SHORT, item_ids).items()
        if (region in answer.value["regions"] if region else answer.value["everywhere"])
    }


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
    published, live = store.get(kinds[0], key), beside(store, kinds[1], [key]).get(key)
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
