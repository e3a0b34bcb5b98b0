"""What a customer is offered: ranked now by a model, or the list of the last batch."""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi.responses import Response
from numpy.typing import NDArray

from serving import live_answers as live
from serving.experiment import Tell, impression
from serving.live_values import Row
from serving.lookup import answered, missing, not_ready, stamped
from serving.online import Answer, OnlineStore
from serving.parameters import MAX_CENTS
from serving.recommender.champion import Champion, Choice, history_of
from serving.recommender.history import History, nobody
from serving.recommender.model import Codes, Model
from serving.recommender.ranking import Pick, Wish, recommend, told
from serving.recommender.trending import trending
from serving.recommender.words import in_words

MOST_UNITS = 10**12
NO_EXPERIMENT: dict[str, None] = {"experiment": None, "arm": None}


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
    store: OnlineStore,
    champion: Champion,
    tell: Tell,
    customer_id: str,
    session_id: str,
    region: str,
    k: int,
) -> Response:
    """The answer of `recommendations` to what is asked most often."""
    return offered_to(store, champion, tell, Asked(customer_id, session_id, region, k))


def offered_to(store: OnlineStore, champion: Champion, tell: Tell, asked: Asked) -> Response:
    """The answer of `recommendations`; in an experiment that it was shown is told."""
    choice = champion.choice(asked.customer_id)
    if choice is None:
        return _of_last_batch(store, asked)
    model = choice.model
    wanted = ("histories", asked.customer_id)
    known, clicks, gone = live.around(store, wanted, asked.customer_id, asked.session_id)
    history = history_of(model, known.value) if known else nobody()
    if known is None:
        history = nobody(model.region_of.get(asked.region, -1))
    codes = model.code_of
    seen = (asked.bought, [*asked.viewed, *(click[2] for click in clicks)])
    session = [[codes[item] for item in items if item in codes] for items in seen]
    wish = _wish(store, model, asked, gone)
    picks = recommend(model, history.with_session(*session), wish) if wish else []
    body = {
        "customer_id": asked.customer_id,
        "items": _told(store, model, picks),
        "fallback": known is None and not any(session),
        "model_version": choice.version,
        "experiment": choice.experiment.name if choice.experiment else None,
        "arm": choice.arm,
    }
    answer = _of_now(store, body)
    _tell_shown(tell, choice, asked, history, picks)
    return answer


def rising_for(store: OnlineStore, champion: Champion, asked: Asked) -> Response:
    """The answer of `trending_for`; an empty customer is nobody in particular."""
    if champion.current is None:
        raise not_ready("model")
    model, version = champion.current
    known: Answer | None = None
    gone: Set[str] = frozenset()
    if asked.customer_id:
        wanted = ("histories", asked.customer_id)
        known, _, gone = live.around(store, wanted, asked.customer_id, "")
    history = history_of(model, known.value) if known else nobody()
    wish = _wish(store, model, asked, gone)
    rising = trending(model, history, wish) if wish else []
    names = _names(store, model, [item for item, _ in rising])
    items = [
        names[item] | {"score": round(rise, 4), "reason": "more buy it than a month ago"}
        for item, rise in rising
    ]
    body = {"customer_id": asked.customer_id, "items": items, "fallback": known is None}
    return _of_now(store, body | {"model_version": version} | NO_EXPERIMENT)


def _wish(store: OnlineStore, model: Model, asked: Asked, gone: Set[str]) -> Wish | None:
    """What is asked as the model has it; None where it knows no such category."""
    # Items without a category share the empty one, which nobody asks for.
    category = -1 if asked.category in ("", "*") else model.category_of.get(asked.category)
    if category is None:
        return None
    return Wish(
        k=asked.k,
        bought=not asked.new_only,
        category=category,
        per_category=asked.per_category,
        offered=_offer(store, model, asked, gone),
    )


def _tell_shown(
    tell: Tell, choice: Choice, asked: Asked, history: History, picks: Sequence[Pick]
) -> None:
    """Of an experiment every list that is not empty; its region is the usual one if none is asked.

    A list of nothing shows nothing of a model.
    """
    if choice.experiment is None or not picks:
        return
    model = choice.model
    usual = str(model.regions[history.region]) if history.region >= 0 else "unknown"
    shown = [str(model.item_ids[pick.item]) for pick in picks]
    place = asked.place or usual
    tell(impression(choice.experiment, asked.customer_id, place, choice.version, shown))


def _of_last_batch(store: OnlineStore, asked: Asked) -> Response:
    found = live.recommended(store, asked.customer_id, asked.session_id, asked.place)
    if found is None:
        raise missing(store, "popular", "popular items")
    answer, fallback = found
    items = answer.value["items"][: asked.k]
    body = {"customer_id": asked.customer_id, "items": items, "fallback": fallback}
    return answered(body | NO_EXPERIMENT, answer, "model_version")


def _offer(
    store: OnlineStore, model: Model, asked: Asked, bought: Set[str]
) -> Callable[[Codes], NDArray[np.bool_]]:
    """Whether items are neither bought nor short, sold at a price within bounds, and in stock."""
    region, in_stock = asked.place, asked.in_stock
    low, high = asked.prices
    is_priced = low > 0 or high < MAX_CENTS

    def is_there(rows: Iterable[Row], name: str, least: int, most: int) -> bool:
        return any(least <= row[name] <= most for row in rows if region in ("", row["region"]))

    def offered(items: Codes) -> NDArray[np.bool_]:
        ids = model.item_ids[items].tolist()
        out = bought | live.short(store, ids, region)
        passed = np.array([one not in out for one in ids], np.bool_)
        if is_priced:
            prices = live.prices_of(store, ids)
            passed &= [is_there(prices.get(one, ()), "price_cents", low, high) for one in ids]
        if in_stock:
            levels = live.levels_of(store, ids)
            passed &= [is_there(levels.get(one, ()), "quantity", 1, MOST_UNITS) for one in ids]
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


def _names(store: OnlineStore, model: Model, items: Iterable[int]) -> dict[int, dict[str, Any]]:
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
