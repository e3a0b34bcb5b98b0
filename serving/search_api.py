"""Search over HTTP: `/v1/search` and `/v1/suggestions`, from an index in this process."""

from http import HTTPStatus
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from serving.live_answers import with_live_prices
from serving.parameters import (
    CONTROL,
    ID_PATTERN,
    ID_RULE,
    MAX_CENTS,
    MAX_QUERY,
    Category,
    Cents,
    Limit,
)
from serving.problems import PROBLEMS, ProblemError
from serving.search import SearchIndex
from serving.search_shelf import SearchShelf
from serving.search_text import Filters

Text = Annotated[str, Query(max_length=MAX_QUERY, description="words; empty: all, the best first")]
Customer = Annotated[str, Query(pattern=r"^$|" + ID_PATTERN, description=f"{ID_RULE}; or none")]
Brand = Annotated[str, Query(pattern=rf"^[^{CONTROL}]{{0,128}}$", description="empty: all")]


class Hit(BaseModel):
    item_id: str
    title: str
    category: str | None
    brand: str | None
    price_cents: int | None
    currency: str | None
    score: float
    reason: str


class FacetValue(BaseModel):
    value: str
    items: int


class PriceRange(BaseModel):
    """Prices of `from` and above, below `to`; an end that is missing is open."""

    lowest: int | None = Field(None, alias="from")
    below: int | None = Field(None, alias="to")
    items: int


class Facets(BaseModel):
    category: list[FacetValue]
    brand: list[FacetValue]
    price_cents: list[PriceRange]


class SearchAnswer(BaseModel):
    query: str
    corrected: str | None
    matched: str
    personalised: bool
    total: int
    items: list[Hit]
    facets: Facets
    suggestions: list[str]
    version: str


class Suggestions(BaseModel):
    query: str
    suggestions: list[str]
    version: str


router = APIRouter(responses=PROBLEMS)


@router.get("/v1/search", response_model=SearchAnswer)
async def search(
    request: Request,
    q: Text = "",
    customer_id: Customer = "",
    category: Category = "",
    brand: Brand = "",
    min_price_cents: Cents = 0,
    max_price_cents: Cents = MAX_CENTS,
    k: Limit = 10,
) -> JSONResponse:
    """Items for some words, ordered by text and by what the customer likes, with facets.

    `matched` says whether the items have all the words, some of them, or (none) are what is popular
    instead; `corrected` what was searched for in place of words that no item has. Prices are those
    of now, where reactions run; filters, `total` and facets are of the published index, and an item
    whose price has since left the asked range is left out.
    """
    index = _index(request)
    highest = max_price_cents if max_price_cents < MAX_CENTS else None
    filters = Filters(category, brand, min_price_cents or None, highest)
    found = index.search(q, customer_id, filters, k)
    answer = {
        "query": q,
        "corrected": found.corrected,
        "matched": found.matched,
        "personalised": found.is_personal,
        "total": found.total,
        "items": with_live_prices(
            request.app.state.store, found.hits, filters.min_price_cents, filters.max_price_cents
        ),
        "facets": found.facets,
        "suggestions": found.suggestions,
        "version": index.version,
    }
    return JSONResponse(answer)


@router.get("/v1/suggestions", response_model=Suggestions)
async def suggestions(request: Request, q: Text = "", k: Limit = 8) -> JSONResponse:
    """What the words typed so far may become, the commonest in the catalogue first."""
    index = _index(request)
    found = index.suggest(q, k)
    return JSONResponse({"query": q, "suggestions": found, "version": index.version})


def _index(request: Request) -> SearchIndex:
    shelf = cast("SearchShelf | None", request.app.state.search)
    index = shelf.index() if shelf else None
    if index is None:
        detail = "no search index is published yet, or it cannot be read; run `lakehouse index`"
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", detail)
    return index
