"""Answers from what is published and what reactions have learned since."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from typing import Any

from pipelines.errors import StoreError
from serving import live_values as values
from serving.leaning import CLICKED, shown
from serving.live_values import Row
from serving.lookup import beside
from serving.online import Answer, OnlineStore


def prices(store: OnlineStore, item_id: str) -> Answer | None:
    """The prices of an item by region, under `prices`; None if none is known."""
    return _both(store, item_id, ("prices", values.PRICES), "prices", values.prices)


def inventory(store: OnlineStore, item_id: str) -> Answer | None:
    """The stock of an item by region, under `levels`; None if none is known."""
    return _both(store, item_id, ("inventory", values.STOCK), "levels", values.levels)


def prices_of(store: OnlineStore, item_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The prices by region of those of some items that have any."""
    return _rows(store, item_ids, ("prices", values.PRICES), "prices", values.prices)


def levels_of(store: OnlineStore, item_ids: Sequence[str]) -> dict[str, list[Row]]:
    """The stock by region of those of some items of which any is kept."""
    return _rows(store, item_ids, ("inventory", values.STOCK), "levels", values.levels)


def with_live_prices(
    store: OnlineStore, hits: Sequence[dict[str, Any]], lowest: int | None, highest: int | None
) -> list[dict[str, Any]]:
    """Hits of a search with the best price of any region now; without those out of bounds by it."""
    changed = beside(store, values.PRICES, [hit["item_id"] for hit in hits])
    now = prices_of(store, list(changed)) if changed else {}
    told = []
    for hit in hits:
        if rows := now.get(hit["item_id"]):
            cents, currency = min((row["price_cents"], row["currency"]) for row in rows)
            if cents < (lowest or 0) or (highest is not None and cents > highest):
                continue
            hit = {**hit, "price_cents": cents, "currency": currency}
        told.append(hit)
    return told


def recommended(
    store: OnlineStore, customer_id: str, session_id: str, region: str
) -> tuple[Answer, bool] | None:
    """What to offer a customer in a visit, under `items`, the best first.

    Left out is what the customer bought meanwhile, and what is short: in the region if one is
    given, else wherever stock is kept.

    Returns:
        The answer, and whether it is what is popular; None if that is not known either.
    """
    known, clicks, out = around(store, ("recommendations", customer_id), customer_id, session_id)
    answer = known or store.get("popular", "all")
    if answer is None:
        return None
    looked_at = list(dict.fromkeys(click[2] for click in clicks))[:CLICKED]
    alike = beside(store, "similar", looked_at) if looked_at else {}
    similar = {item_id: one.value["items"] for item_id, one in alike.items()}
    items = shown(answer.value["items"], out=out, clicks=clicks, similar=similar)
    gone = short(store, [item["item_id"] for item in items], region)
    if gone:
        items = [item for item in items if item["item_id"] not in gone]
    return replace(answer, value={"items": items}), known is None


def around(
    store: OnlineStore, wanted: tuple[str, str], customer_id: str, session_id: str
) -> tuple[Answer | None, list[Any], Set[str]]:
    """What is published under a kind and key, and what is live of a customer, in one look.

    Returns:
        the answer; time, id, item id and category of the last clicks of the customer and of the
        visit, the newest first; the items that the customer bought lately.
    """
    tastes = [f"c:{customer_id}", *([f"s:{session_id}"] if session_id else ())]
    live = [(values.BOUGHT, customer_id), *((values.TASTE, key) for key in tastes)]
    try:
        answer, bought, *leaning = store.get_each([wanted, *live])
    except StoreError:
        answer = store.get(*wanted)
        bought, *leaning = (beside(store, kind, [key]).get(key) for kind, key in live)
    clicks = _latest(click for taste in leaning if taste for click in taste.value["clicks"])
    return answer, clicks, bought.value["items"].keys() if bought else frozenset()


def short(store: OnlineStore, item_ids: Sequence[str], region: str) -> Set[str]:
    """Those of some items that are short: in the region if one is given, else everywhere."""
    return {
        item_id
        for item_id, answer in beside(store, values.SHORT, item_ids).items()
        if (region in answer.value["regions"] if region else answer.value["everywhere"])
    }


def _latest(clicks: Iterable[Any]) -> list[Any]:
    """Clicks, each once, the newest first."""
    return sorted({tuple(click) for click in clicks}, reverse=True)[: values.KEPT_CLICKS]


def _rows(
    store: OnlineStore,
    keys: Sequence[str],
    kinds: tuple[str, str],
    name: str,
    joined: Callable[[Any, Any], list[Row]],
) -> dict[str, list[Row]]:
    published, live = store.get_many(kinds[0], keys), beside(store, kinds[1], keys)
    rows = {key: answer.value[name] for key, answer in published.items()}
    return rows | {key: joined(rows.get(key, ()), one.value) for key, one in live.items()}


def _both(
    store: OnlineStore,
    key: str,
    kinds: tuple[str, str],
    name: str,
    joined: Callable[[Any, Any], list[Row]],
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
