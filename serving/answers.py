"""What the routes share: reading the store, and saying that something is not there."""

from datetime import datetime
from http import HTTPStatus
from typing import cast

from fastapi import Request

from serving.online import Answer, OnlineStore
from serving.problems import ProblemError


def store_of(request: Request) -> OnlineStore:
    return cast(OnlineStore, request.app.state.store)


def find(request: Request, kind: str, key: str, what: str) -> Answer:
    """The answer, or 404 where it does not exist, or 503 where its kind was never published."""
    store = store_of(request)
    answer = store.get(kind, key)
    if answer is None:
        raise missing(store, kind, what)
    return answer


def missing(store: OnlineStore, kind: str, what: str) -> ProblemError:
    if kind not in store.kinds():
        return not_ready(kind)
    return ProblemError(HTTPStatus.NOT_FOUND, "NOT_FOUND", f"nothing is known of {what}")


def not_ready(kind: str) -> ProblemError:
    detail = f"'{kind}' is not published yet; run `lakehouse publish`"
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "NOT_READY", detail)


def stamp(answer: Answer, name: str = "version") -> dict[str, str]:
    return {name: answer.version, "as_of": utc(answer.published_at)}


def utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
