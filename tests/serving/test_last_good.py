"""Redis down, slow, empty or full: answers from the last good copy, flagged."""

import fcntl
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from redis_server import RedisServer, redis_server
from shop import AT, KINDS, assert_problem, publish

from pipelines.errors import DiskFullError, StoreError
from pipelines.settings import Settings, load_settings
from serving import last_good
from serving.last_good import LastGood
from serving.online import Answer, OnlineStore
from serving.redis_store import RedisStore
from serving.server import BackgroundServer
from serving.stores import store_to_read, store_to_write

SLOW = 5.0  # what an answer of a slow server would take


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that these tests may stop, empty and kill."""
    with redis_server(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture
def remote(own: RedisServer) -> Iterator[RedisStore]:
    own.client.flushall()
    store = RedisStore(own.url, timeout_s=0.2)
    publish(store, *KINDS)
    yield store
    store.close()


@pytest.fixture
def store(own: RedisServer, remote: RedisStore, tmp_path: Path) -> Iterator[LastGood]:
    store = LastGood(RedisStore(own.url, timeout_s=0.2), tmp_path / "copy", watch_s=0.05)
    until(lambda: set(store._copy.kinds()) == set(KINDS))
    yield store
    store.close()


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.01)


def got(store: OnlineStore, kind: str = "prices", key: str = "i1") -> Answer:
    answer = store.get(kind, key)
    assert answer is not None
    return answer


def test_answers_are_from_redis_while_it_answers(store: LastGood, remote: RedisStore) -> None:
    assert not got(store).stale and not store.is_degraded
    remote.publish("prices", [("i1", 7)], version="2", published_at=AT)
    assert (got(store).value, got(store).version) == (7, "2")


def test_a_server_that_is_down_is_stood_in_for(store: LastGood, own: RedisServer) -> None:
    own.kill()
    answers = [got(store) for _ in range(20)]
    assert all(answer.stale for answer in answers) and store.is_degraded
    assert answers[0].value == KINDS["prices"][0][1] and answers[0].published_at == AT
    assert set(store.kinds()) == set(KINDS)
    assert store.get("prices", "nobody") is None
    with pytest.raises(StoreError):
        store.get("never published", "i1")
    with pytest.raises(StoreError, match="cannot be written"):
        store.update("prices", {"i1": 1}, at=AT)
    own.start()  # empty
    until(lambda: not store.is_degraded)
    assert got(store).stale  # it has lost what was published
    publish(store, *KINDS)
    assert not got(store).stale


def test_a_slow_server_delays_one_request_at_most(store: LastGood, own: RedisServer) -> None:
    own.process.send_signal(signal.SIGSTOP)
    begin = time.monotonic()
    try:
        assert all(got(store).stale for _ in range(50))
        assert time.monotonic() - begin < SLOW / 2  # 50 times 0.2 s if each one waited
    finally:
        own.process.send_signal(signal.SIGCONT)
    until(lambda: not store.is_degraded)
    assert not got(store).stale


def test_an_emptied_server_is_stood_in_for(store: LastGood, own: RedisServer) -> None:
    own.client.flushall()
    assert got(store).stale and not store.is_degraded
    assert set(store.kinds()) == set(KINDS)
    publish(store, "prices")
    assert not got(store).stale and got(store, "inventory").stale


def test_a_full_server_answers_what_it_has(store: LastGood, own: RedisServer) -> None:
    own.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(DiskFullError, match="Redis takes no more"):
            store.publish("prices", [("i1", 1)], version="2", published_at=AT)
        assert (got(store).version, got(store).stale) == ("v-prices", False)
    finally:
        own.client.config_set("maxmemory", 0)


def test_the_copy_follows_publishes_updates_and_deletes(
    store: LastGood, own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(last_good, "CHANGES_S", 0.0)
    now = datetime.now(UTC)
    store.publish("prices", [("i1", 1), ("i2", 2)], version="2", published_at=now)
    until(lambda: store._copy.kinds()["prices"].version == "2")
    store.update("prices", {"i2": None, "i3": 3}, at=now)
    until(lambda: set(store._copy.get_many("prices", ["i1", "i2", "i3"])) == {"i1", "i3"})
    own.kill()
    assert set(store.get_many("prices", ["i1", "i2", "i3"])) == {"i1", "i3"}
    assert got(store, key="i3").stale and got(store, key="i3").published_at == now
    own.start()


def test_one_process_copies_and_when_it_ends_the_next(
    own: RedisServer, remote: RedisStore, tmp_path: Path
) -> None:
    looked: list[str] = []

    class Watched(RedisStore):
        def changes(self) -> dict[str, int]:
            looked.append("changes")
            return super().changes()

    folder = tmp_path / "copy"
    folder.mkdir()
    other = (folder / "copying.lock").open("w")
    fcntl.flock(other, fcntl.LOCK_EX)
    store = LastGood(Watched(own.url, timeout_s=0.2), folder, watch_s=0.01)
    until(lambda: len(looked) > 3)
    assert store._copy.kinds() == {} and not got(store).stale
    other.close()
    until(lambda: set(store._copy.kinds()) == set(KINDS))
    store.close()


def test_the_api_flags_what_is_old_and_starts_without_redis(
    own: RedisServer, tmp_path: Path
) -> None:
    settings = with_redis(own, tmp_path)
    writer = store_to_write(settings)
    publish(writer, *KINDS)
    store = store_to_read(settings)
    assert isinstance(store, LastGood)
    until(lambda: set(store._copy.kinds()) == set(KINDS))
    store.close()
    own.kill()
    store = store_to_read(settings)
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        answer = client.get("/v1/prices/i1")
        assert answer.json()["stale"] is True and int(answer.headers["age"]) > 0
        assert client.get("/readyz").json()["store"] == "last good copy"
        assert_problem(client.get("/v1/prices/nobody"), 404, "NOT_FOUND")
        own.start()
        publish(writer, *KINDS)
        until(lambda: client.get("/v1/prices/i1").json()["stale"] is False)
        assert client.get("/readyz").json()["store"] == "ok"
    store.close()
    writer.close()


def test_without_redis_and_a_copy_the_api_is_alive(own: RedisServer, tmp_path: Path) -> None:
    own.kill()
    store = store_to_read(with_redis(own, tmp_path))
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        assert client.get("/healthz").status_code == 200
        for url in ("/readyz", "/v1/prices/i1", "/v1/recommendations/c1"):
            assert_problem(client.get(url), 503, "STORE_UNAVAILABLE")
    store.close()
    own.start()


def with_redis(server: RedisServer, tmp_path: Path) -> Settings:
    overrides = {"root": str(tmp_path), "online.kind": "redis", "online.redis_url": server.url}
    return load_settings(overrides=overrides)
