from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
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
