"""The HTTP API: answers from the online store, by key, in well under a millisecond.

Every error is an RFC 9457 problem document with a stable `code`. The handlers are async and read
the store directly: a read takes microseconds, a thread for it would take longer.
"""

from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from serving import live_answers as live
from serving.answers import Inventory, Prices, TopSellers, Trending
from serving.dashboard import Panels
from serving.dashboard import router as dashboard
from serving.docs_page import docs_page
from serving.edge import Edge
from serving.events import router as events
from serving.experiment import teller
from serving.gold import Gold
from serving.gold import router as views
from serving.guard import Guard
from serving.hot_answers import SELLERS, TRENDING, hot_answer
from serving.hot_path import HotPath
from serving.lookup import answered, find, not_ready, required, store_of, utc
from serving.metrics import registry
from serving.metrics import router as metrics
from serving.offering import usually_offered_to
from serving.online import Answer, OnlineStore
from serving.parameters import ITEM, Category, ItemId, Limit, Region
from serving.problems import PROBLEMS, add_handlers
from serving.recommender.champion import Champion
from serving.recommending import recommendations
from serving.recommending import router as recommending
from serving.search_api import router as search_router
from serving.search_shelf import SearchShelf
from serving.shared import Shared
from serving.suggested_prices import suggestions
from serving.telemetry import Telemetry, routes_of

router = APIRouter(responses=PROBLEMS)


@router.get("/v1/top-sellers", response_model=TopSellers)
async def top_sellers(
    request: Request, category: Category = "", region: Region = "", k: Limit = 10
) -> Response:
    """What sells most, of all or of one category, in all or in one region.

    Seconds old (`version` is `live`) where hot lists are kept, else as last published.
    """
    category, region = category or "*", region or "*"
    answer = _hot(request, SELLERS, "top_sellers", category, region)
    body = {
        "category": category,
        "region": region,
        "date": answer.value.get("date"),
        "items": answer.value["items"][:k],
    }
    return answered(body, answer)


@router.get("/v1/trending", response_model=Trending)
async def trending(
    request: Request, category: Category = "", region: Region = "", k: Limit = 10
) -> Response:
    """What is viewed and bought furthest above its usual, of all, a category or a region.

    Seconds old (`version` is `live`) where hot lists are kept, else as last published.
    """
    category, region = category or "*", region or "*"
    answer = _hot(request, TRENDING, "trending", category, region)
    body = {"category": category, "region": region, "items": answer.value["items"][:k]}
    return answered(body, answer)


@router.get("/v1/prices/" + ITEM, response_model=Prices)
async def prices(request: Request, item_id: ItemId, region: Region = "") -> Response:
    """The current price of an item by region, and what to charge instead, if anything.

    Cents are minor units of `currency`.
    """
    store = store_of(request)
    answer = required(store, live.prices(store, item_id), "prices", f"item {item_id}")
    now = _of_region(answer.value["prices"], region)
    suggested = suggestions(store, item_id, now)
    body = {"item_id": item_id, "prices": now, "suggestions": suggested}
    return answered(body, answer)


@router.get("/v1/inventory/" + ITEM, response_model=Inventory)
async def inventory(request: Request, item_id: ItemId, region: Region = "") -> Response:
    """The stock of an item, in units, by region."""
    store = store_of(request)
    answer = required(store, live.inventory(store, item_id), "inventory", f"item {item_id}")
    body = {"item_id": item_id, "levels": _of_region(answer.value["levels"], region)}
    return answered(body, answer)


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
    ready = {
        "status": "ready",
        "store": "last good copy" if store_of(request).is_degraded else "ok",
        "kinds": told,
        "champion": {
            "model": champion.version,
            "refused": champion.refused,
            "experiment": champion.experiment,
        },
    }
    return JSONResponse(ready)


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> HTMLResponse:
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    page = docs_page(request.app.openapi())
    return HTMLResponse(page, headers={"content-security-policy": policy})


def create_app(
    store: OnlineStore,
    gold: Gold | None = None,
    *,
    champion: Champion | None = None,
    panels: Panels | None = None,
    search_folder: Path | None = None,
    shared: Shared | None = None,
    worker: int = 0,
) -> FastAPI:
    """The API over a store and the gold views of a lake.

    Args:
        store: where the answers are; the caller closes it.
        gold: reads the views; without it they are answered by 503.
        champion: ranks items in this process; without it, lists are those of the last batch.
        panels: what the dashboard shows; without it the page says that there is no lake.
        search_folder: where the search indexes are that the store names; None: no search.
        shared: what it has in common with other processes; without it, it is alone, for this
            machine, and needs no keys.
        worker: the number of this process.
    """
    app = FastAPI(
        title="Retail lakehouse",
        version="1",
        docs_url=None,  # FastAPI's page loads its scripts from a content delivery network
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.store, app.state.gold, app.state.panels = store, gold, panels
    app.state.champion = champion or Champion(store, None)
    app.state.search = SearchShelf(store, search_folder) if search_folder else None
    app.include_router(router)
    shared = shared or Shared()
    app.state.sender, app.state.tell = shared.sender, teller(shared.sender)
    for further in (dashboard, recommending, views, events, metrics, search_router):
        app.include_router(further)
    add_handlers(app)
    routes = routes_of(app.openapi()["paths"])
    app.state.metrics = registry(store, shared.counts, routes)
    route = next(r for r in recommending.routes if getattr(r, "endpoint", None) is recommendations)
    usual = partial(usually_offered_to, store, app.state.champion, app.state.tell)
    app.add_middleware(HotPath, recommend=usual, route=route)
    if shared.keys is not None:
        app.add_middleware(Guard, keys=shared.keys, rates=shared.rates)
    app.add_middleware(Edge, allowed_hosts=shared.hosts)
    app.add_middleware(
        Telemetry,
        counts=shared.counts,
        routes=routes,
        worker=worker,
        logs=shared.access_log,
        audit=shared.audit,
    )
    return app


def _hot(request: Request, hot: str, published: str, category: str, region: str) -> Answer:
    """The list that is kept just now, else the one that was published."""
    place = f"{category}|{region}"
    found = hot_answer(store_of(request), hot, place)
    return found or find(request, published, place, "that category and region")


def _of_region(rows: list[dict[str, Any]], region: str) -> list[dict[str, Any]]:
    return rows if region in ("", "*") else [row for row in rows if row["region"] == region]
