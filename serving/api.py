"""The HTTP API: answers from the online store, by key, in well under a millisecond.

Every error is an RFC 9457 problem document with a stable `code`. The handlers are async and read
the store directly: a read takes microseconds, a thread for it would take longer.
"""

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel

from serving.docs_page import docs_page
from serving.edge import Edge
from serving.online import Answer, OnlineStore
from serving.parameters import CUSTOMER, ITEM, Category, CustomerId, ItemId, Limit, Region
from serving.problems import PROBLEMS, ProblemError, add_handlers
from serving.search_api import router as search_router
from serving.search_shelf import SearchShelf
from serving.suggested_prices import SuggestedPrice, suggestions

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


class RecommendedItem(BaseModel):
    item_id: str
    title: str
    category: str
    score: float
    reason: str


class Recommendations(BaseModel):
    customer_id: str
    items: list[RecommendedItem]
    fallback: bool
    model_version: str
    as_of: datetime


class SimilarItems(BaseModel):
    item_id: str
    items: list[RecommendedItem]
    model_version: str
    as_of: datetime


class TopSeller(BaseModel):
    item_id: str
    title: str
    units: int
    revenue_cents: int


class TopSellers(BaseModel):
    category: str
    region: str
    date: str | None
    items: list[TopSeller]
    version: str
    as_of: datetime


class Price(BaseModel):
    region: str
    price_cents: int
    currency: str
    changed_at: datetime


class Prices(BaseModel):
    item_id: str
    prices: list[Price]
    suggestions: list[SuggestedPrice]
    version: str
    as_of: datetime


class Level(BaseModel):
    region: str
    quantity: int
    changed_at: datetime


class Inventory(BaseModel):
    item_id: str
    levels: list[Level]
    version: str
    as_of: datetime


router = APIRouter(responses=PROBLEMS)


@router.get("/v1/recommendations/" + CUSTOMER, response_model=Recommendations)
async def recommendations(request: Request, customer_id: CustomerId, k: Limit = 10) -> JSONResponse:
    """What to offer a customer; an unknown customer gets what is popular, `fallback` true."""
    store = _store(request)
    answer = store.get("recommendations", customer_id)
    fallback = answer is None
    if answer is None:
        answer = store.get("popular", "all")
    if answer is None:
        raise _missing(store, "popular", "popular items")
    body = {"customer_id": customer_id, "items": answer.value["items"][:k], "fallback": fallback}
    return JSONResponse(body | _stamp(answer, "model_version"))


@router.get("/v1/items/" + ITEM + "/similar", response_model=SimilarItems)
async def similar(request: Request, item_id: ItemId, k: Limit = 10) -> JSONResponse:
    """The items most like an item."""
    answer = _find(request, "similar", item_id, f"item {item_id}")
    body = {"item_id": item_id, "items": answer.value["items"][:k]}
    return JSONResponse(body | _stamp(answer, "model_version"))


@router.get("/v1/top-sellers", response_model=TopSellers)
async def top_sellers(
    request: Request, category: Category = "", region: Region = "", k: Limit = 10
) -> JSONResponse:
    """What sells most, of all or of one category, in all or in one region."""
    category, region = category or "*", region or "*"
    answer = _find(request, "top_sellers", f"{category}|{region}", "that category and region")
    body = {
        "category": category,
        "region": region,
        "date": answer.value.get("date"),
        "items": answer.value["items"][:k],
    }
    return JSONResponse(body | _stamp(answer))


@router.get("/v1/prices/" + ITEM, response_model=Prices)
async def prices(request: Request, item_id: ItemId, region: Region = "") -> JSONResponse:
    """The current price of an item by region, and what to charge instead, if anything.

    Cents are minor units of `currency`.
    """
    answer = _find(request, "prices", item_id, f"item {item_id}")
    now = _of_region(answer.value["prices"], region)
    suggested = suggestions(_store(request), item_id, now)
    body = {"item_id": item_id, "prices": now, "suggestions": suggested}
    return JSONResponse(body | _stamp(answer))


@router.get("/v1/inventory/" + ITEM, response_model=Inventory)
async def inventory(request: Request, item_id: ItemId, region: Region = "") -> JSONResponse:
    """The stock of an item, in units, by region."""
    answer = _find(request, "inventory", item_id, f"item {item_id}")
    body = {"item_id": item_id, "levels": _of_region(answer.value["levels"], region)}
    return JSONResponse(body | _stamp(answer))


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """There is something to serve: 503 until recommendations are published."""
    kinds = _store(request).kinds()
    if "recommendations" not in kinds:
        raise _not_ready("recommendations")
    told = {
        kind: {"version": info.version, "as_of": _utc(info.published_at), "entries": info.entries}
        for kind, info in sorted(kinds.items())
    }
    return JSONResponse({"status": "ready", "kinds": told})


@router.get("/", include_in_schema=False)
async def home() -> RedirectResponse:
    return RedirectResponse("/docs")


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    page = docs_page(request.app.openapi())
    return HTMLResponse(page, headers={"content-security-policy": policy})


def create_app(
    store: OnlineStore,
    *,
    search_folder: Path | None = None,
    allowed_hosts: Iterable[str] = LOOPBACK_NAMES,
) -> FastAPI:
    """The API over a store.

    Args:
        store: where the answers are; the caller closes it.
        search_folder: where the search indexes are that the store names; None: no search.
        allowed_hosts: accepted names in `Host`, without the port. A page on the web that has its
            own name point at 127.0.0.1 (DNS rebinding) is refused by it.
    """
    app = FastAPI(
        title="Retail lakehouse",
        version="1",
        docs_url=None,  # FastAPI's page loads its scripts from a content delivery network
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.store = store
    app.state.search = SearchShelf(store, search_folder) if search_folder else None
    app.include_router(router)
    app.include_router(search_router)
    add_handlers(app)
    app.add_middleware(Edge, allowed_hosts=frozenset(allowed_hosts))
    return app


def _store(request: Request) -> OnlineStore:
    return cast(OnlineStore, request.app.state.store)


def _find(request: Request, kind: str, key: str, what: str) -> Answer:
    """The answer, or 404 where it does not exist, or 503 where its kind was never published."""
    store = _store(request)
    answer = store.get(kind, key)
    if answer is None:
        raise _missing(store, kind, what)
    return answer


def _missing(store: OnlineStore, kind: str, what: str) -> ProblemError:
    if kind not in store.kinds():
        return _not_ready(kind)
    return ProblemError(HTTPStatus.NOT_FOUND, "NOT_FOUND", f"nothing is known of {what}")


def _not_ready(kind: str) -> ProblemError:
    detail = f"'{kind}' is not published yet; run `lakehouse publish`"
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", detail)


def _of_region(rows: list[dict[str, Any]], region: str) -> list[dict[str, Any]]:
    return rows if region in ("", "*") else [row for row in rows if row["region"] == region]


def _stamp(answer: Answer, name: str = "version") -> dict[str, str]:
    return {name: answer.version, "as_of": _utc(answer.published_at)}


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
