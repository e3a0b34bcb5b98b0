"""`POST /v1/events`: clicks and purchases in batches, answered when the broker has them."""

import asyncio
import json
import zlib
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from pipelines.errors import BrokerError
from serving.parameters import CONTROL
from serving.problems import PROBLEMS, ProblemError, described
from serving.sender import Sender

MAX_EVENTS = 500
MAX_BYTES = 1 << 20
BODY_S = 10.0  # who sends slowly keeps no connection
ShortText = Annotated[
    str, Field(pattern=rf"^[^{CONTROL}\u2028\u2029\u202a-\u202e\u2066-\u2069]{{1,128}}$")
]
ItemId = Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]
Cents = Annotated[int, Field(ge=0, le=10**12)]


class _Event(BaseModel):
    """What every event has; fields beyond those named are kept as attributes."""

    model_config = ConfigDict(extra="allow")
    event_id: UUID
    occurred_at: AwareDatetime
    item_id: ItemId
    region: ShortText
    category: ShortText | None = None
    customer_id: ShortText | None = None


class Click(_Event):
    event_type: Literal["click"]
    session_id: ShortText


class Purchase(_Event):
    event_type: Literal["purchase"]
    basket_id: ShortText
    quantity: Annotated[int, Field(ge=1, le=10**9)]
    price_cents: Cents
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    amount_cents: Cents | None = None


class Events(BaseModel):
    model_config = ConfigDict(extra="forbid")
    events: Annotated[
        list[Annotated[Click | Purchase, Field(discriminator="event_type")]],
        Field(min_length=1, max_length=MAX_EVENTS),
    ]


class Accepted(BaseModel):
    accepted: int


class _BoundedRoute(APIRoute):
    """Refuses a body before it is read whole or parsed."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                detail = "send application/json"
                raise ProblemError(
                    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail
                )
            request._body = await _body(request)
            request._json = _parsed(request._body)
            return await handle(request)

        return bounded


router = APIRouter(route_class=_BoundedRoute, responses=PROBLEMS | described(408, 413, 415))


@router.post("/v1/events", status_code=HTTPStatus.ACCEPTED, response_model=Accepted)
async def events(request: Request, batch: Events) -> JSONResponse:
    """Take up to 500 clicks and purchases; 202 says that the broker has all of them.

    After any other answer send the same events again: an `event_id` counts once.
    """
    sender: Sender | None = request.app.state.sender
    if sender is None:
        detail = "there is no broker to send to; set source.kafka.bootstrap_servers"
        raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", detail)
    sent = (await request.json())["events"]
    pairs = [(event["item_id"].encode(), _payload(event)) for event in sent]
    try:
        await sender.send(pairs)
    except BrokerError as error:
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "BROKER_UNAVAILABLE",
            "the broker has not acknowledged all events; send them again",
        ) from error
    return JSONResponse({"accepted": len(batch.events)}, HTTPStatus.ACCEPTED)


async def _body(request: Request) -> bytes:
    """The body, decompressed, as long as neither form of it is too large."""
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding not in ("identity", "gzip"):
        detail = "send the body as it is, or gzip"
        raise ProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", detail)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                _check_size(len(body))
    except TimeoutError:
        detail = f"the body did not come within {BODY_S:g} s; send it again"
        raise ProblemError(HTTPStatus.REQUEST_TIMEOUT, "REQUEST_TIMEOUT", detail) from None
    if coding == "identity":
        return bytes(body)
    try:
        text = zlib.decompressobj(wbits=31).decompress(bytes(body), MAX_BYTES + 1)
    except zlib.error:
        raise _invalid("the body is not gzip") from None
    _check_size(len(text))
    return text


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        detail = f"a body has {MAX_BYTES} bytes at most; send fewer events at once"
        raise ProblemError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "PAYLOAD_TOO_LARGE", detail
        )  # fmt: skip


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else "not JSON"
        raise _invalid(f"the body is {why}") from None


def _payload(event: dict[str, Any]) -> bytes:
    try:
        return json.dumps(event, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise _invalid(
            "a number of an event is no JSON number, or it is nested too deeply"
        ) from None


def _invalid(detail: str) -> ProblemError:
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_EVENTS", detail)
