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
    store: OnlineStore, customer_id: str, session_id: str, region: str
) -> tuple[Answer, bool] | None:
    """What to offer a customer in a visit, under `items`, the best first.

    Left out is what the customer bought meanwhile, and what is short: in the region if one is
    given, else wherever stock is kept.

    Returns:
        The answer, and whether it is what is popular; None if that is not known either.
    """
    tastes = [f"c:{customer_id}", *([f"s:{session_id}"] if session_id else ())]
    wanted = [("recommendations", customer_id), (values.BOUGHT, customer_id)]
    answer, bought, *leaning = _each(store, [*wanted, *((values.TASTE, key) for key in tastes)])
    fallback = answer is None
    if answer is None:
        answer = store.get("popular", "all")
    if answer is None:
        return None
    clicks = _latest(click for taste in leaning if taste for click in taste.value["clicks"])
    looked_at = list(dict.fromkeys(click[2] for click in clicks))[:CLICKED]
    alike = _known(store, "similar", looked_at) if looked_at else {}
    similar = {item_id: one.value["items"] for item_id, one in alike.items()}
    out = bought.value["items"] if bought else ()
    items = shown(answer.value["items"], out=out, clicks=clicks, similar=similar)
    return replace(answer, value={"items": _in_stock(store, items, region)}), fallback


def _in_stock(store: OnlineStore, items: list[Item], region: str) -> list[Item]:
    short = _known(store, values.SHORT, [item["item_id"] for item in items])
    out = {
        item_id
        for item_id, answer in short.items()
        if (region in answer.value["regions"] if region else answer.value["everywhere"])
    }
    return [item for item in items if item["item_id"] not in out] if out else items


def _each(store: OnlineStore, wanted: Sequence[tuple[str, str]]) -> list[Answer | None]:
    """What is known of keys, the first of what is published, the others live."""
    try:
        return store.get_each(wanted)
    except StoreError:
        (kind, key), *live = wanted
        return [store.get(kind, key), *(_known(store, k, [one]).get(one) for k, one in live)]


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
