"""What passes by the framework is answered as the framework would."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from shop import assert_problem, publish

from serving.hot_path import HotPath
from serving.lmdb_store import LmdbStore
from serving.server import BackgroundServer

ASKED = [
    *("c1", "nobody", "c1?k=1", "c1?k=100", "c1?k=5&region=north", "c1?session_id=a%20b&k=7"),
    *("c1?k=0", "c1?k=101", "c1?k=05", "c1?k=1&k=2", "c1?other=1", "c1?", "c1?k=", "c1?region="),
    *("c1?region=*", "c1?region=a%7Cb", "c1?session_id=%0A", "c1?session_id=%C3%A9", "%2e%2e"),
    *("", "a/b", "c1%0A", "x" * 129),
]


async def passed_on(layer: Any, scope: Any, receive: Any, send: Any) -> None:
    await layer.app(scope, receive, send)


def answers(store: LmdbStore) -> tuple[list[tuple[int, Any]], list[str]]:
    """Status and body of each request, and how they were counted."""
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        found = [client.get(f"/v1/recommendations/{one}") for one in ASKED]
        counted = client.get("/metrics").text
    lines = [line for line in counted.splitlines() if "requests_total{" in line]
    assert any('route="/v1/recommendations/{customer_id}",status="2xx"' in line for line in lines)
    for answer in found:
        assert answer.headers["x-request-id"] and answer.headers["content-type"]
    bodies = [answer.json() for answer in found]
    for body in bodies:
        body.pop("request_id", None)
    told = [(answer.status_code, body) for answer, body in zip(found, bodies, strict=True)]
    return told, lines


def test_each_request_is_answered_alike_by_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LmdbStore(tmp_path / "online")
    publish(store, "recommendations", "popular")
    hot = answers(store)
    monkeypatch.setattr(HotPath, "__call__", passed_on)
    assert hot == answers(store)
    assert {status for status, _ in hot[0]} == {200, 422}
    store.close()


def test_what_is_not_published_is_told_by_the_route(
    empty: tuple[LmdbStore, httpx.Client],
) -> None:
    assert_problem(empty[1].get("/v1/recommendations/c1"), 503, "NOT_READY")
