"""Gold views over HTTP, over a reader of two of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from shop import assert_problem

from pipelines.errors import LakeError
from serving.lmdb_store import LmdbStore
from serving.server import BackgroundServer


@dataclass
class Rows:
    version: int = 3
    tag: str = "t.3"
    rows: list[dict[str, Any]] = field(default_factory=lambda: [{"item_id": "i1", "units": 2}])


class Gold:
    """Two views, of which one was never refreshed."""

    def comments(self) -> Mapping[str, str]:
        return {"sales": "One row per item.", "prices": "One row per item."}

    def page(self, name: str, where: Mapping[str, str], limit: int) -> Rows:
        if name == "prices":
            raise LakeError("gold.prices was never refreshed; run `lakehouse refresh`")
        if name not in self.comments():
            raise KeyError(name)
        if unknown := set(where) - {"item_id"}:
            raise ValueError(f"{unknown.pop()} is not one of item_id, units")
        asked = where.get("item_id", "i1")
        return Rows(rows=[row for row in Rows().rows if row["item_id"] == asked][:limit])


@pytest.fixture(scope="module")
def views(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = LmdbStore(tmp_path_factory.mktemp("gold") / "online")
    with BackgroundServer(store, Gold()) as server, httpx.Client(base_url=server.url) as client:
        yield client
    store.close()


def test_the_views_are_listed_with_their_grain(views: httpx.Client) -> None:
    told = views.get("/v1/views").json()["views"]
    assert told[0] == {"view": "prices", "comment": "One row per item."}


def test_rows_come_with_the_version_that_they_are_of(views: httpx.Client) -> None:
    answer = views.get("/v1/views/sales", params={"item_id": "i1", "limit": 5})
    assert answer.json() == {"view": "sales", "version": 3, "rows": [{"item_id": "i1", "units": 2}]}
    assert views.get("/v1/views/sales", params={"item_id": "i2"}).json()["rows"] == []
    same = views.get("/v1/views/sales", headers={"if-none-match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


def test_what_cannot_be_answered_says_why(views: httpx.Client) -> None:
    assert_problem(views.get("/v1/views/sale"), 404, "NOT_FOUND")
    assert_problem(views.get("/v1/views/sales?color=red"), 422, "INVALID_FILTER")
    assert_problem(views.get("/v1/views/sales?limit=0"), 422, "INVALID_LIMIT")
    assert_problem(views.get("/v1/views/Sales"), 422, "INVALID_VIEW")
    problem = assert_problem(views.get("/v1/views/prices"), 503, "NOT_READY")
    assert "lakehouse refresh" in problem["detail"]


def test_a_server_without_a_lake_says_so(client: httpx.Client) -> None:
    assert_problem(client.get("/v1/views/sales"), 503, "NOT_READY")
