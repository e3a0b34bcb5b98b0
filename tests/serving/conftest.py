from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis_server import RedisServer
from redis_server import redis_server as run_redis
from shop import KINDS, publish

from serving.lmdb_store import LmdbStore
from serving.server import BackgroundServer


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = LmdbStore(tmp_path_factory.mktemp("full") / "online")
    publish(store, *KINDS)
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        yield client
    store.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[LmdbStore, httpx.Client]]:
    store = LmdbStore(tmp_path / "online")
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        yield store, client
    store.close()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server; tests tell themselves apart by the prefix of their keys."""
    with run_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server
