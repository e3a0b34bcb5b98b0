"""The HTTP API: answers from the online store, by key, in well under a millisecond.

Every error is an RFC 9457 problem document with a stable `code`. The handlers are async and read
the store directly: a read takes microseconds, a thread for it would take longer.
"""

from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from serving import live_answers as live
from serving.answers import Inventory, Prices, Recommendations, SimilarItems, TopSellers
from serving.docs_page import docs_page
from serving.edge import Edge
from serving.events import router as events
from serving.gold import Gold
from serving.gold import router as views
from serving.guard import Guard
from serving.hot_path import HotPath
from serving.metrics import registry
from serving.metrics import router as metrics
from serving.online import Answer, OnlineStore
from serving.parameters import CUSTOMER, ITEM, Category, CustomerId, ItemId, Limit, Region, Session
from serving.problems import PROBLEMS, ProblemError, add_handlers
from serving.search_api import router as search_router
from serving.search_shelf import SearchShelf
from serving.shared import Shared
from serving.telemetry import Telemetry, routes_of

router = APIRouter(responses=PROBLEMS)


@router.get("/v1/recommendations/" + CUSTOMER, response_model=Recommendations)
async def recommendations(
    request: Request,
    customer_id: CustomerId,
    session_id: Session = "",
    region: Region = "",
    k: Limit = 10,
) -> JSONResponse:
    """What to offer a customer; an unknown customer gets what is popular, `fallback` true.

    Where reactions run, it leans to what the customer clicked last, in this visit (`session_id`) or
    another, and leaves out what was bought meanwhile or is short: in `region`, else everywhere.
    """
    return recommend(_store(request), customer_id, session_id, region, k)


def recommend(
    store: OnlineStore, customer_id: str, session_id: str, region: str, k: int
) -> JSONResponse:
    """The answer of `recommendations`."""
    found = live.recommended(store, customer_id, session_id, "" if region == "*" else region)
    if found is None:
        raise _missing(store, "popular", "popular items")
    answer, fallback = found
    items = answer.value["items"][:k]
    body = {"customer_id": customer_id, "items": items, "fallback": fallback}
    return _answered(body, answer, "model_version")


@router.get("/v1/items/" + ITEM + "/similar", response_model=SimilarItems)
async def similar(request: Request, item_id: ItemId, k: Limit = 10) -> JSONResponse:
    """The items most like an item."""
    answer = _find(request, "similar", item_id, f"item {item_id}")
    body = {"item_id": item_id, "items": answer.value["items"][:k]}
    return _answered(body, answer, "model_version")


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
    return _answered(body, answer)


@router.get("/v1/prices/" + ITEM, response_model=Prices)
async def prices(request: Request, item_id: ItemId, region: Region = "") -> JSONResponse:
    """The current price of an item, by region; cents are minor units of `currency`."""
    store = _store(request)
    answer = live.prices(store, item_id)
    if answer is None:
        raise _missing(store, "prices", f"item {item_id}")
    body = {"item_id": item_id, "prices": _of_region(answer.value["prices"], region)}
    return _answered(body, answer)


@router.get("/v1/inventory/" + ITEM, response_model=Inventory)
async def inventory(request: Request, item_id: ItemId, region: Region = "") -> JSONResponse:
    """The stock of an item, in units, by region."""
    store = _store(request)
    answer = live.inventory(store, item_id)
    if answer is None:
        raise _missing(store, "inventory", f"item {item_id}")
    body = {"item_id": item_id, "levels": _of_region(answer.value["levels"], region)}
    return _answered(body, answer)


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
    store = "last good copy" if _store(request).is_degraded else "ok"
    return JSONResponse({"status": "ready", "store": store, "kinds": told})


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
    gold: Gold | None = None,
    *,
    search_folder: Path | None = None,
    shared: Shared | None = None,
    worker: int = 0,
) -> FastAPI:
    """The API over a store and the gold views of a lake.

    Args:
        store: where the answers are; the caller closes it.
        gold: reads the views; without it they are answered by 503.
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
    app.state.store, app.state.gold = store, gold
    app.state.search = SearchShelf(store, search_folder) if search_folder else None
    app.include_router(router)
    shared = shared or Shared()
    app.state.sender = shared.sender
    for further in (views, events, metrics, search_router):
        app.include_router(further)
    add_handlers(app)
    routes = routes_of(app.openapi()["paths"])
    app.state.metrics = registry(store, shared.counts, routes)
    route = next(r for r in router.routes if getattr(r, "endpoint", None) is recommendations)
    app.add_middleware(HotPath, recommend=partial(recommend, store), route=route)
    if shared.keys is not None:
        app.add_middleware(Guard, keys=shared.keys, rates=shared.rates)
    app.add_middleware(Edge, allowed_hosts=shared.hosts)
    app.add_middleware(
        Telemetry, counts=shared.counts, routes=routes, worker=worker, logs=shared.access_log
    )
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
    detail = f"'{kind}' is not published, or has expired; run `lakehouse publish`"
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", detail)


def _of_region(rows: list[dict[str, Any]], region: str) -> list[dict[str, Any]]:
    return rows if region in ("", "*") else [row for row in rows if row["region"] == region]


def _answered(body: dict[str, Any], answer: Answer, name: str = "version") -> JSONResponse:
    """The answer with what it is of, when that was published, and how many seconds ago."""
    at = answer.published_at
    stamp = {name: answer.version, "as_of": _utc(at), "stale": answer.stale}
    age = max(0, int((datetime.now(UTC) - at).total_seconds()))
    return JSONResponse(body | stamp, headers={"age": str(age)})


def _utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
