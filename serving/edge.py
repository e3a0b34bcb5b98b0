"""What surrounds every request, whatever it asks for."""

import logging
import re
import uuid
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.parameters import ID_PATTERN, ID_RULE
from serving.problems import problem

logger = logging.getLogger(__name__)


class Edge:
    """The outermost layer: request id, host check, and an answer to what nobody expected."""

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str] | None) -> None:
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

        try:
            await (self._refusal(request) or self.app)(scope, receive, stamped)
        except Exception:
            logger.exception("request %s failed", request.state.request_id)
            if started:
                raise
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; it is logged"
            await problem(request, status, "INTERNAL", detail)(scope, receive, stamped)

    def _refusal(self, request: Request) -> JSONResponse | None:
        host = re.sub(r":\d+$", "", request.headers.get("host", "")).lower()
        known = self.allowed_hosts
        if host and known is not None and host not in known:  # HTTP/1.0 may send none
            detail = "this host name is not served here; use one of serving.allowed_hosts"
            return problem(request, HTTPStatus.BAD_REQUEST, "INVALID_HOST", detail)
        if not request.scope["path"].isprintable():  # Starlette would drop a trailing newline
            detail = f"the path holds a control character; an id is {ID_RULE}"
            return problem(request, HTTPStatus.UNPROCESSABLE_ENTITY, "INVALID_ID", detail)
        return None
