"""The routes that recommend: for a customer, like an item, with an item, on the rise."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from numpy.typing import NDArray

from serving import live_answers as live
from serving.answers import Recommendations, SimilarItems
from serving.live_values import SHORT
from serving.lookup import answered, find, missing, not_ready, stamped, store_of
from serving.online import OnlineStore
from serving.parameters import (
    CUSTOMER,
    ITEM,
    MAX_CENTS,
    Category,
    Cents,
    CustomerId,
    ForCustomer,
    ItemId,
    Limit,
    PerCategory,
    Region,
    Session,
    Visit,
)
from serving.problems import PROBLEMS
from serving.recommender.champion import Champion, history_of
from serving.recommender.history import nobody
from serving.recommender.model import Codes, Model
from serving.recommender.ranking import Pick, Wish, recommend, told
from serving.recommender.trending import trending
from serving.recommender.words import in_words

router = APIRouter(responses=PROBLEMS)
NO_SESSION: list[str] = []


@router.get("/v1/recommendations/" + CUSTOMER, response_model=Recommendations)
async def recommendations(
    request: Request,
    customer_id: CustomerId,
    k: Limit = 10,
    category: Category = "",
    region: Region = "",
    min_price_cents: Cents = 0,
    max_price_cents: Cents = MAX_CENTS,
    in_stock: bool = False,
    new_only: bool = False,
    per_category: PerCategory = 0,
    session_id: Visit = "",
    bought: Session = NO_SESSION,
    viewed: Session = NO_SESSION,
) -> Response:
    """What to offer a customer; an unknown customer gets what is popular, `fallback` true.

    `bought` and `viewed` are what happened in this session; where reactions run, so does what they
    saw of the customer and of the visit `session_id`, and what was bought lately or is short is
    left out. Prices and stock are looked up in `region` if it is given, else in any. Without a
    loaded model the list is that of the last batch and the other conditions do not apply.
    """
    asked = Asked(
        customer_id,
        session_id,
        region,
        k,
        category=category,
        prices=(min_price_cents, max_price_cents),
        in_stock=in_stock,
        new_only=new_only,
        per_category=per_category,
        bought=bought,
        viewed=viewed,
    )
    return offered_to(store_of(request), request.app.state.champion, asked)


@dataclass(frozen=True)
class Asked:
    """What is asked of recommendations; see the route."""

    customer_id: str
    session_id: str = ""
    region: str = ""
    k: int = 10
    category: str = ""
    prices: tuple[int, int] = (0, MAX_CENTS)
    in_stock: bool = False
    new_only: bool = False
    per_category: int = 0
    bought: Sequence[str] = ()
    viewed: Sequence[str] = ()

    @property
    def place(self) -> str:
        """The only region that counts; empty: all."""
        return "" if self.region == "*" else self.region


def usually_offered_to(
    store: OnlineStore, champion: Champion, customer_id: str, session_id: str, region: str, k: int
) -> Response:
    """The answer of `recommendations` to what is asked most often."""
    return offered_to(store, champion, Asked(customer_id, session_id, region, k))


def offered_to(store: OnlineStore, champion: Champion, asked: Asked) -> Response:
    """The answer of `recommendations`."""
    if champion.current is None:
        return _of_last_batch(store, asked)
    model, version = champion.current
    wanted = ("histories", asked.customer_id)
    known, clicks, gone = live.around(store, wanted, asked.customer_id, asked.session_id)
    history = history_of(model, known.value) if known else nobody()
    if known is None:
        history = nobody(model.region_of.get(asked.region, -1))
    codes = model.code_of
    seen = (asked.bought, [*asked.viewed, *(click[2] for click in clicks)])
    session = [[codes[item] for item in items if item in codes] for items in seen]
    picks: list[Pick] = []
    # Items without a category share the empty one, which nobody asks for.
    category = -1 if asked.category in ("", "*") else model.category_of.get(asked.category)
    if category is not None:
        wish = Wish(
            k=asked.k,
            bought=not asked.new_only,
            category=category,
            per_category=asked.per_category,
            offered=_offer(store, model, asked, gone),
        )
        picks = recommend(model, history.with_session(*session), wish)
    body = {
        "customer_id": asked.customer_id,
        "items": _told(store, model, picks),
        "fallback": known is None and not any(session),
        "model_version": version,
    }
    return _of_now(store, body)


@router.get("/v1/trending-for-you", response_model=Recommendations)
async def trending_for(request: Request, customer_id: ForCustomer = "", k: Limit = 10) -> Response:
    """What is on the rise, in the order in which it fits the customer."""
    champion = cast(Champion, request.app.state.champion).current
    if champion is None:
        raise not_ready("model")
    (model, version), store = champion, store_of(request)
    known = store.get("histories", customer_id) if customer_id else None
    history = history_of(model, known.value) if known else nobody()
    rising = trending(model, history, k)
    names = _names(store, model, [item for item, _ in rising])
    items = [
        names[item] | {"score": round(rise, 4), "reason": "more buy it than a month ago"}
        for item, rise in rising
    ]
    body = {"customer_id": customer_id, "items": items, "fallback": known is None}
    return _of_now(store, body | {"model_version": version})


@router.get("/v1/items/" + ITEM + "/similar", response_model=SimilarItems)
async def similar(request: Request, item_id: ItemId, k: Limit = 10) -> Response:
    """The items most like an item."""
    return _of_item(request, "similar", item_id, k)


@router.get("/v1/items/" + ITEM + "/bought-together", response_model=SimilarItems)
async def bought_together(request: Request, item_id: ItemId, k: Limit = 10) -> Response:
    """The items that lie in the same baskets most."""
    return _of_item(request, "together", item_id, k)


def _of_item(request: Request, kind: str, item_id: str, k: int) -> Response:
    answer = find(request, kind, item_id, f"item {item_id}")
    body = {"item_id": item_id, "items": answer.value["items"][:k]}
    return answered(body, answer, "model_version")


def _of_last_batch(store: OnlineStore, asked: Asked) -> Response:
    found = live.recommended(store, asked.customer_id, asked.session_id, asked.place)
    if found is None:
        raise missing(store, "popular", "popular items")
    answer, fallback = found
    items = answer.value["items"][: asked.k]
    body = {"customer_id": asked.customer_id, "items": items, "fallback": fallback}
    return answered(body, answer, "model_version")


def _offer(
    store: OnlineStore, model: Model, asked: Asked, bought: Set[str]
) -> Callable[[Codes], NDArray[np.bool_]] | None:
    """Whether items are neither bought nor short, sold at a price within bounds, and in stock.

    Of prices and stock what reactions have learned counts too. None if all are offered.
    """
    region, in_stock = asked.place, asked.in_stock
    low, high = asked.prices
    is_priced = low > 0 or high < MAX_CENTS
    is_watched = SHORT in store.kinds()
    if not (is_priced or in_stock or is_watched or bought):
        return None

    def of_region(rows: list[dict[str, Any]], value: str) -> list[int]:
        return [row[value] for row in rows if region in ("", row["region"])]

    def offered(items: Codes) -> NDArray[np.bool_]:
        ids = model.item_ids[items].tolist()
        out = bought | (live.short(store, ids, region) if is_watched else frozenset())
        passed = np.array([one not in out for one in ids], np.bool_)
        if is_priced:
            prices = live.prices_of(store, ids)
            passed &= [
                any(low <= price <= high for price in of_region(prices[one], "price_cents"))
                for one in ids
            ]
        if in_stock:
            levels = live.levels_of(store, ids)
            passed &= [
                any(units > 0 for units in of_region(levels[one], "quantity")) for one in ids
            ]
        return passed

    return offered


def _told(store: OnlineStore, model: Model, picks: list[Pick]) -> list[dict[str, Any]]:
    asked = {pick.item for pick in picks} | {pick.because for pick in picks if pick.why == "like"}
    names = _names(store, model, asked)
    items = []
    for pick in picks:
        because = told(model, pick)
        if pick.why == "like":
            because = names[pick.because]["title"]
        reason = in_words(str(pick.why), because)
        items.append(names[pick.item] | {"score": round(pick.score, 4), "reason": reason})
    return items


def _names(store: OnlineStore, model: Model, items: Any) -> dict[int, dict[str, Any]]:
    ids = {int(item): str(model.item_ids[item]) for item in items}
    found = store.get_many("titles", ids.values())
    return {
        item: {
            "item_id": one,
            "title": found[one].value.get("title") if one in found else None,
            "category": found[one].value.get("category") if one in found else None,
        }
        for item, one in ids.items()
    }


def _of_now(store: OnlineStore, body: dict[str, Any]) -> Response:
    """What was ranked just now is as old as the histories that it was ranked from."""
    info = store.kinds().get("histories")
    if info is None:
        raise not_ready("histories")
    return stamped(body, info.published_at, store.is_degraded)
