"""What surrounds every request, whatever it asks for."""

import logging
import re
import secrets
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.parameters import ID_PATTERN, ID_RULE
from serving.problems import problem

logger = logging.getLogger(__name__)
_ID = re.compile(ID_PATTERN)


class Edge:
    """The outermost layer: request id, host check, and an answer to what nobody expected.

    It reads headers as they came: Starlette's objects for them would take longer than the rest.
    """

    def __init__(self, app: ASGIApp, allowed_hosts: frozenset[str] | None) -> None:
        self.app, self.allowed_hosts = app, allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given, started = header(scope, b"x-request-id"), False
        request_id = given if _ID.fullmatch(given) else secrets.token_hex(16)
        scope.setdefault("state", {})["request_id"] = request_id

        async def stamped(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                stamp = (b"x-request-id", request_id.encode())
                message["headers"] = [*message.get("headers", ()), stamp]
            await send(message)

        try:
            await (self._refusal(scope) or self.app)(scope, receive, stamped)
        except Exception:
            logger.exception("request %s failed", request_id)
            if started:
                raise
            status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, "an unexpected error; it is logged"
            await problem(Request(scope), status, "INTERNAL", detail)(scope, receive, stamped)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        known = self.allowed_hosts
        if known is not None:
            host = header(scope, b"host").lower()
            name, _, port = host.rpartition(":")
            host = name if port.isdecimal() else host
            if host and host not in known:  # HTTP/1.0 may send none
                detail = "this host name is not served here; use one of serving.allowed_hosts"
                return problem(Request(scope), HTTPStatus.BAD_REQUEST, "INVALID_HOST", detail)
        if not scope["path"].isprintable():  # Starlette would drop a trailing newline
            detail = f"the path holds a control character; an id is {ID_RULE}"
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            return problem(Request(scope), status, "INVALID_ID", detail)
        return None


def header(scope: Scope, name: bytes) -> str:
    """The first header of a name, in lower case; empty where there is none."""
    for one, value in scope["headers"]:
        if one == name:
            return str(value, "latin-1")
    return ""
