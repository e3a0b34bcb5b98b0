"""Who may pass: keys, their scopes and their rates."""

import math
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.edge import header
from serving.keys import KeyRing
from serving.problems import problem
from serving.rates import Rates
from serving.telemetry import OPEN

PAGE_FILES = "/assets/"
DASHBOARD = "/v1/dashboard"

PERSONAL = "/v1/recommendations/"


class Guard:
    """Lets requests with a key that may ask for it through, no faster than the key's rate."""

    def __init__(self, app: ASGIApp, keys: KeyRing, rates: Rates) -> None:
        self.app, self._keys, self._rates = app, keys, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        path = scope["path"]
        if path in OPEN or path.startswith(PAGE_FILES):
            return None
        text, request = _sent(scope), Request(scope)
        key = self._keys.find(text) if text else None
        if key is None:
            detail = "send a valid key: `Authorization: Bearer KEY`; `lakehouse keys add` makes one"
            headers = {"www-authenticate": "Bearer"}
            return problem(request, HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", detail, headers)
        scope.setdefault("state", {})["key_name"] = key.name
        needed = _scope_for(request.method, path)
        if needed not in key.scopes:
            detail = f"this key lacks the scope '{needed}'"
            return problem(request, HTTPStatus.FORBIDDEN, "FORBIDDEN", detail)
        if key.customer is not None and _is_of_others(request, key.customer):
            detail = "this key may read of its own customer alone"
            return problem(request, HTTPStatus.FORBIDDEN, "FORBIDDEN", detail)
        wait = self._rates.seconds_to_wait(key)
        if wait > 0:
            detail = f"this key may ask {key.rate:g} times a second; wait {wait:.3g} s"
            headers = {"retry-after": str(math.ceil(wait))}
            return problem(
                request, HTTPStatus.TOO_MANY_REQUESTS, "TOO_MANY_REQUESTS", detail, headers
            )
        return None


def _sent(scope: Scope) -> str:
    scheme, _, text = header(scope, b"authorization").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else header(scope, b"x-api-key")


def _scope_for(method: str, path: str) -> str:
    if path == "/metrics":
        return "metrics"
    if path.startswith(DASHBOARD):
        return "dashboard"
    return "read" if method in ("GET", "HEAD", "OPTIONS") else "events"


def _is_of_others(request: Request, customer: str) -> bool:
    """Whether a request asks for what is personal to someone else; views hold everyone."""
    path = request.scope["path"]
    if path.startswith(PERSONAL):
        return bool(path != PERSONAL + customer)
    named = request.query_params.getlist("customer_id")
    return path.startswith("/v1/views") or any(one != customer for one in named)
