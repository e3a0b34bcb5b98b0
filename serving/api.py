"""The HTTP API: answers from the online store, by key, in well under a millisecond.

Every error is an RFC 9457 problem document with a stable `code`. The handlers are async and read
the store directly: a read takes microseconds, a thread for it would take longer.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel

from serving.answers import find, not_ready, stamp, store_of, utc
from serving.docs_page import docs_page
from serving.edge import Edge
from serving.online import OnlineStore
from serving.parameters import ITEM, Category, ItemId, Limit, Region
from serving.problems import PROBLEMS, add_handlers
from serving.recommender.champion import Champion
from serving.recommending import router as recommending

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})


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


@router.get("/v1/top-sellers", response_model=TopSellers)
async def top_sellers(
    request: Request, category: Category = "", region: Region = "", k: Limit = 10
) -> JSONResponse:
    """What sells most, of all or of one category, in all or in one region."""
    category, region = category or "*", region or "*"
    answer = find(request, "top_sellers", f"{category}|{region}", "that category and region")
    body = {
        "category": category,
        "region": region,
        "date": answer.value.get("date"),
        "items": answer.value["items"][:k],
    }
    return JSONResponse(body | stamp(answer))


@router.get("/v1/prices/" + ITEM, response_model=Prices)
async def prices(request: Request, item_id: ItemId, region: Region = "") -> JSONResponse:
    """The current price of an item, by region; cents are minor units of `currency`."""
    answer = find(request, "prices", item_id, f"item {item_id}")
    body = {"item_id": item_id, "prices": _of_region(answer.value["prices"], region)}
    return JSONResponse(body | stamp(answer))


@router.get("/v1/inventory/" + ITEM, response_model=Inventory)
async def inventory(request: Request, item_id: ItemId, region: Region = "") -> JSONResponse:
    """The stock of an item, in units, by region."""
    answer = find(request, "inventory", item_id, f"item {item_id}")
    body = {"item_id": item_id, "levels": _of_region(answer.value["levels"], region)}
    return JSONResponse(body | stamp(answer))


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """There is something to serve: 503 until recommendations are published."""
    kinds = store_of(request).kinds()
    if "recommendations" not in kinds:
        raise not_ready("recommendations")
    told = {
        kind: {"version": info.version, "as_of": utc(info.published_at), "entries": info.entries}
        for kind, info in sorted(kinds.items())
    }
    champion = request.app.state.champion
    loaded = {"model": champion.version, "refused": champion.refused}
    return JSONResponse({"status": "ready", "kinds": told, "champion": loaded})


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
    champion: Champion | None = None,
    allowed_hosts: Iterable[str] = LOOPBACK_NAMES,
) -> FastAPI:
    """The API over a store.

    Args:
        store: where the answers are; the caller closes it.
        champion: ranks items in this process; without it, lists are those of the last batch.
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
    app.state.champion = champion or Champion(store, None)
    app.include_router(router)
    app.include_router(recommending)
    add_handlers(app)
    app.add_middleware(Edge, allowed_hosts=frozenset(allowed_hosts))
    return app


def _of_region(rows: list[dict[str, Any]], region: str) -> list[dict[str, Any]]:
    return rows if region in ("", "*") else [row for row in rows if row["region"] == region]
