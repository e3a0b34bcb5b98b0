"""The routes that recommend: for a customer, like an item, with an item, on the rise."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from serving.answers import Recommendations, SimilarItems
from serving.lookup import answered, find, store_of
from serving.offering import Asked, offered_to, rising_for
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
    state = request.app.state
    return offered_to(store_of(request), state.champion, state.tell, asked)


@router.get("/v1/trending-for-you", response_model=Recommendations)
async def trending_for(
    request: Request,
    customer_id: ForCustomer = "",
    k: Limit = 10,
    category: Category = "",
    region: Region = "",
    min_price_cents: Cents = 0,
    max_price_cents: Cents = MAX_CENTS,
    in_stock: bool = False,
    new_only: bool = False,
    per_category: PerCategory = 0,
) -> Response:
    """What is on the rise, in the order in which it fits the customer; conditions as there."""
    asked = Asked(
        customer_id,
        region=region,
        k=k,
        category=category,
        prices=(min_price_cents, max_price_cents),
        in_stock=in_stock,
        new_only=new_only,
        per_category=per_category,
    )
    return rising_for(store_of(request), request.app.state.champion, asked)


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
