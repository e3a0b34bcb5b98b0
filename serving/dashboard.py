"""The dashboard: its page and files at `/` and `/assets`, its panels below `/v1/dashboard`.

A panel's `ETag` is a digest of what it shows: who asks again with `If-None-Match` gets 304 until
something has changed.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from http import HTTPStatus
from typing import Annotated, Any, Literal, Protocol, cast

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from pipelines.errors import LakehouseError
from serving.hot_answers import with_hot_lists
from serving.online import OnlineStore
from serving.page_files import PAGE, PAGE_FILES, PageFile
from serving.parameters import CUSTOMER, Category, CustomerId, Region
from serving.problems import PROBLEMS, ProblemError

# Nothing but what this process serves, no markup that a script makes of text, no frame around it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
SHOWN = 12  # recommendations beside a history

Hours = Annotated[int, Query(ge=1, le=168, description="of the newest data, up to a week")]
Currency = Annotated[str, Query(pattern=r"^([A-Z]{3})?$", description="empty: the commonest")]
Table = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,31}\.[a-z][a-z0-9_]{0,63}$")]
Reason = Annotated[str, Query(pattern=r"^[a-z0-9_]{0,64}$", description="a code; empty: any")]
Events = Annotated[int, Query(ge=1, le=100, description="how many, at most")]


class Panels(Protocol):
    """What knows the lake; see `pipelines.dashboard.panels`."""

    def panel(self, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What a panel shows; `missing` alone where the lake has nothing for it yet.

        Raises:
            KeyError: what is asked for does not exist.
            LakehouseError: it cannot be read just now; says why.
        """


class PanelBody(BaseModel, extra="allow"):
    """What a panel shows, or `missing`: why there is nothing yet."""

    missing: str | None = None


router = APIRouter(responses=PROBLEMS)


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    return _file(request, PAGE)


@router.get("/assets/{name}", include_in_schema=False)
async def asset(request: Request, name: str) -> Response:
    file = PAGE_FILES.get(name)
    if file is None:
        raise ProblemError(HTTPStatus.NOT_FOUND, "NOT_FOUND", "the page has no such file")
    return _file(request, file)


# Not async: a question that is not kept takes some hundred milliseconds, which a thread waits for.
@router.get("/v1/dashboard/customers/" + CUSTOMER, response_model=PanelBody)
def customer(request: Request, customer_id: CustomerId) -> Response:
    """A customer's profile and last purchases, beside what is recommended."""
    body = _panel(request, "customer", {"customer_id": customer_id})
    store = _store(request)
    answer = store.get("recommendations", customer_id)
    is_fallback = answer is None
    answer = answer or store.get("popular", "all")
    items = answer.value["items"][:SHOWN] if answer else []
    told = {"recommended": items, "fallback": is_fallback}
    return _answered(request, body | told | ({"model_version": answer.version} if answer else {}))


@router.get("/v1/dashboard/quarantine/{table}", response_model=PanelBody)
def quarantine(request: Request, table: Table, reason: Reason = "", limit: Events = 20) -> Response:
    """Events that a table refused, the latest first: reasons, origin and bytes (Base64)."""
    asked = {"table": table, "reason": reason, "limit": limit}
    return _answered(request, _panel(request, "quarantine", asked))


@router.get("/v1/dashboard/live", response_model=PanelBody)
def live(request: Request) -> Response:
    """Streams with rate and lag, events by minute, views and answers with their age."""
    kinds = _store(request).kinds()
    told = [
        {"kind": kind, "published_at": info.published_at.isoformat(), "entries": info.entries}
        for kind, info in sorted(kinds.items())
    ]
    return _answered(request, _panel(request, "live", {}) | {"published": told})


@router.get("/v1/dashboard/sales", response_model=PanelBody)
def sales(
    request: Request,
    hours: Hours = 168,
    category: Category = "",
    region: Region = "",
    currency: Currency = "",
) -> Response:
    """Revenue by hour, category and region of the newest hours, beside those a week before."""
    asked = {"hours": hours, "category": category, "region": region, "currency": currency}
    return _answered(request, _panel(request, "sales", asked))


@router.get("/v1/dashboard/{panel}", response_model=PanelBody)
def panel(
    request: Request,
    panel: Literal["items", "stock", "prices", "quality", "customers", "runs"],
    category: Category = "",
    region: Region = "",
) -> Response:
    """Any other panel; `category` and `region` narrow those that are about items."""
    asked = {"category": category, "region": region}
    body = _panel(request, panel, asked)
    if panel == "items":
        body = with_hot_lists(_store(request), body, category, region)
    return _answered(request, body)


def _panel(request: Request, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    panels = cast("Panels | None", request.app.state.panels)
    if panels is None:
        return {"missing": "this server was started without a lake"}
    try:
        return panels.panel(name, asked)
    except KeyError as error:
        detail = f"there is no {error.args[0]}"
        raise ProblemError(HTTPStatus.NOT_FOUND, "NOT_FOUND", detail) from None
    except LakehouseError as error:
        status = HTTPStatus.SERVICE_UNAVAILABLE
        raise ProblemError(status, "NOT_READY", str(error)) from None


def _answered(request: Request, body: dict[str, Any]) -> Response:
    text = json.dumps(body, separators=(",", ":"), default=str).encode()
    tag = f'"{blake2b(text, digest_size=16).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(text, headers=headers, media_type=JSONResponse.media_type)


def _file(request: Request, file: PageFile) -> Response:
    headers = HEADERS | {"etag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)


def _store(request: Request) -> OnlineStore:
    return cast(OnlineStore, request.app.state.store)
