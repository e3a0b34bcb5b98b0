from typing import NoReturn

import httpx
import pytest
from shop import assert_problem

from pipelines.errors import StoreError
from serving.lmdb_store import LmdbStore
from serving.server import BackgroundServer


class BrokenStore(LmdbStore):
    """A store whose reads fail with a given error."""

    error: Exception

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, *asked: object) -> NoReturn:
        raise self.error

    get_each = get_many = get


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreError("/srv/secret: damaged"), 503, "STORE_UNAVAILABLE"),
        (RuntimeError("/srv/secret.py"), 500, "INTERNAL"),
    ],
)
def test_failures_never_show_their_inside(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with BackgroundServer(BrokenStore(error)) as server:
        response = httpx.get(server.url + "/v1/recommendations/c1")
    problem = assert_problem(response, status, code)
    assert "secret" not in response.text
    assert problem["request_id"] in caplog.text and "secret" in caplog.text
