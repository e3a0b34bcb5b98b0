"""The HTTP API: answers from the online store, by key, in well under a millisecond.

Every error is an RFC 9457 problem document with a stable `code`. The handlers are async and read
the store directly: a read takes microseconds, a thread for it would take longer.
"""

import html
import logging
import re
import uuid
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, cast

from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipelines.errors import StoreError
from serving.online import Answer, OnlineStore

ID_PATTERN = r"^[A-Za-z0-9._:-]{1,128}$"
MAX_LIMIT = 100
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]"})
PROBLEM_JSON = "application/problem+json"

logger = logging.getLogger(__name__)

# `:path` lets an empty id or one with a slash reach validation, which names what is wrong.
CUSTOMER, ITEM = "{customer_id:path}", "{item_id:path}"
ID_RULE = "1 to 128 of A-Z a-z 0-9 . _ : -"
CustomerId = Annotated[str, Path(pattern=ID_PATTERN, description=ID_RULE)]
ItemId = Annotated[str, Path(pattern=ID_PATTERN, description=ID_RULE)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="how many, at most")]
Region = Annotated[str, Query(pattern=r"^$|^\*$|" + ID_PATTERN, description="empty: all")]
# Categories are shop words ("FRZN FRUITS/VEG"); "|" parts the key and control characters lie.
Category = Annotated[str, Query(pattern=r"^[^|\p{Cc}]{0,128}$", description="empty: all")]

INVALID = {
    "customer_id": ("INVALID_ID", f"customer_id must be {ID_RULE}"),
    "item_id": ("INVALID_ID", f"item_id must be {ID_RULE}"),
    "k": ("INVALID_LIMIT", f"k must be a whole number from 1 to {MAX_LIMIT}"),
    "region": ("INVALID_REGION", f"region must be {ID_RULE}"),
    "category": ("INVALID_CATEGORY", "category must be at most 128 printable characters, no |"),
}


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


class Problem(BaseModel):
    """An error, after RFC 9457; `code` is stable, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class ProblemError(Exception):
    """An error with its answer: HTTP status, stable code, detail for people."""

    def __init__(self, status: HTTPStatus, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_JSON: {"schema": Problem.model_json_schema()}},
    }
    for status in (404, 422, 503)
}
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
    """The current price of an item, by region; cents are minor units of `currency`."""
    answer = _find(request, "prices", item_id, f"item {item_id}")
    body = {"item_id": item_id, "prices": _of_region(answer.value["prices"], region)}
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


def create_app(store: OnlineStore, *, allowed_hosts: Iterable[str] = LOOPBACK_NAMES) -> FastAPI:
    """The API over a store.

    Args:
        store: where the answers are; the caller closes it.
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
    app.include_router(router)
    app.add_exception_handler(ProblemError, _on_error)
    app.add_exception_handler(StoreError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_middleware(Edge, allowed_hosts=frozenset(allowed_hosts))
    return app


class Edge:
    """The outermost layer: request id, host check, and an answer to what nobody expected."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str]) -> None:
        self.app, self.allowed_hosts = app, allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, started = Request(scope), False
        given = request.headers.get("x-request-id", "")
        request.state.request_id = given if re.fullmatch(ID_PATTERN, given) else uuid.uuid4().hex

        async def stamped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["x-request-id"] = request.state.request_id
            await send(message)

        host = re.sub(r":\d+$", "", request.headers.get("host", "")).lower()
        try:
            if host and host not in self.allowed_hosts:  # HTTP/1.0 may send none
                detail = "this host name is not served here; use 127.0.0.1"
                refusal = _problem(request, HTTPStatus.BAD_REQUEST, "INVALID_HOST", detail)
                await refusal(scope, receive, stamped)
            elif not scope["path"].isprintable():  # Starlette would drop a trailing newline
                detail = f"the path holds a control character; an id is {ID_RULE}"
                refusal = _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ID", detail)
                await refusal(scope, receive, stamped)
            else:
                await self.app(scope, receive, stamped)
        except Exception:
            logger.exception("request %s failed", request.state.request_id)
            if started:
                raise
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; it is logged"
            await _problem(request, status, "INTERNAL", detail)(scope, receive, stamped)


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    """The problem document of an expected error."""
    if isinstance(error, ProblemError):
        return _problem(request, error.status, error.code, error.detail)
    if isinstance(error, RequestValidationError):
        field = str(error.errors()[0]["loc"][-1])
        code, detail = INVALID.get(field, ("INVALID_REQUEST", f"{field} is not valid"))
        return _problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, code, detail)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        detail = f"{status.description or status.phrase}; /docs lists what there is"
        return _problem(request, status, status.name, detail, error.headers)
    logger.error("request %s: %s", request.state.request_id, error)
    detail = "the online store cannot be read just now; the log says why"
    return _problem(request, HTTPStatus.SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", detail)


def _problem(
    request: Request, status: HTTPStatus, code: str, detail: str, headers: Any = None
) -> JSONResponse:
    problem = Problem(
        type="about:blank",
        title=status.phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request.state.request_id,
    )
    return JSONResponse(problem.model_dump(), status, headers, PROBLEM_JSON)


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


STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a414d); }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 0 auto; padding: 1.5rem;
  background: light-dark(#fff, #14171c); color: light-dark(#1b1f24, #e8eaed); }
section { border: 1px solid var(--line); border-radius: .5rem; padding: .25rem 1rem 1rem;
  margin: 1rem 0; overflow-x: auto; }
h2 { font: 600 1rem ui-monospace, monospace; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: 600; }
th, td { border-top: 1px solid var(--line); padding: .25rem .75rem .25rem 0; text-align: left; }
a { color: light-dark(#0b57d0, #9cc2ff); }
"""


def docs_page(openapi: dict[str, Any]) -> str:
    """The operations of an OpenAPI document as one page of HTML that loads nothing else."""
    title = html.escape(openapi["info"]["title"])
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title} API</title><style>{STYLE}</style></head><body><main>"
        f"<h1>{title} API</h1><p>Errors are RFC 9457 problem documents. The full description is"
        ' in <a href="/openapi.json">openapi.json</a>.</p>'
        f"{operations}</main></body></html>"
    )


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row"><code>{html.escape(p["name"])}</code></th><td>{p["in"]}</td>'
        f"<td>{html.escape(_rule(p))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    head = '<tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Rule</th></tr>'
    table = f"<table><caption>Parameters</caption>{head}{rows}</table>" if rows else ""
    return (
        f"<section><h2>{method.upper()} {html.escape(path)}</h2>"
        f"<p>{html.escape(operation.get('description', ''))}</p>{table}</section>"
    )


def _rule(parameter: dict[str, Any]) -> str:
    shape = parameter["schema"]
    default = f", default {shape['default']!r}" if shape.get("default") not in (None, "") else ""
    bounds = f" {shape['minimum']} to {shape['maximum']}" if "maximum" in shape else ""
    note = f"; {parameter['description']}" if "description" in parameter else ""
    required = "required " if parameter.get("required") else ""
    return f"{required}{shape['type']}{bounds}{default}{note}"
