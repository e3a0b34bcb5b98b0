"""What the routes share: reading the store, and saying what an answer is of, or that none is."""

import time
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar, cast

import msgspec
from fastapi import Request
from fastapi.responses import Response

from pipelines.errors import StoreError
from serving.online import Answer, OnlineStore
from serving.problems import ProblemError

Found = TypeVar("Found")
_encode = msgspec.json.Encoder().encode


def store_of(request: Request) -> OnlineStore:
    return cast(OnlineStore, request.app.state.store)


def find(request: Request, kind: str, key: str, what: str) -> Answer:
    """The answer, or 404 where it does not exist, or 503 where its kind was never published."""
    store = store_of(request)
    return required(store, store.get(kind, key), kind, what)


def required(store: OnlineStore, found: Found | None, kind: str, what: str) -> Found:
    """What was found, or 404 or 503 as by `find`."""
    if found is None:
        raise missing(store, kind, what)
    return found


def beside(store: OnlineStore, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
    """What a kind adds to another; nothing where the store is down and no copy has the kind.

    What it would add to answers alone then, flagged as stale.
    """
    try:
        return store.get_many(kind, keys)
    except StoreError:
        return {}


def missing(store: OnlineStore, kind: str, what: str) -> ProblemError:
    if kind not in store.kinds():
        return not_ready(kind)
    return ProblemError(HTTPStatus.NOT_FOUND, "NOT_FOUND", f"nothing is known of {what}")


def not_ready(kind: str) -> ProblemError:
    detail = f"'{kind}' is not published, or has expired; run `lakehouse publish`"
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", detail)


def answered(body: dict[str, Any], answer: Answer, name: str = "version") -> Response:
    """The answer with what it is of, when that was published, and how many seconds ago."""
    return stamped(body | {name: answer.version}, answer.published_at, answer.stale)


def stamped(body: dict[str, Any], at: datetime, stale: bool) -> Response:
    """A body with when it was published, in UTC, and how many seconds ago."""
    age = max(0, int(time.time() - at.timestamp()))
    return JSONBytes(_encode(body | {"as_of": at, "stale": stale}), age)


class JSONBytes(Response):
    """An answer of a prepared body; Starlette's general way to its headers takes longer than it."""

    def __init__(self, body: bytes, age: int) -> None:
        self.status_code, self.background, self.body = 200, None, body
        self.raw_headers = [
            (b"age", b"%d" % age),
            (b"content-length", b"%d" % len(body)),
            (b"content-type", b"application/json"),
        ]


def utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
