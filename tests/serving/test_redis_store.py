"""What only the online store in Redis promises."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis_server import RedisServer

from pipelines.errors import DiskFullError, StoreError
from serving.redis_store import RedisStore

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def store(redis_server: RedisServer, tmp_path: Path) -> Iterator[RedisStore]:
    store = RedisStore(redis_server.url, prefix=tmp_path.name, timeout_s=10)
    yield store
    store.close()


def published(store: RedisStore, version: str, size: int) -> int:
    entries = ((f"c{i}", {"v": version, "pad": "x" * 1000}) for i in range(size))
    return store.publish("recommendations", entries, version=version, published_at=AT)


def keys(server: RedisServer, tmp_path: Path) -> list[bytes]:
    return sorted(server.client.scan_iter(f"{tmp_path.name}:*"))


def test_an_old_version_leaves_nothing_behind(
    store: RedisStore, redis_server: RedisServer, tmp_path: Path
) -> None:
    published(store, "m1", 10)
    before = keys(redis_server, tmp_path)
    published(store, "m2", 2500)
    assert len(keys(redis_server, tmp_path)) == len(before) == 3  # n, kinds, entries
    assert redis_server.client.ttl(keys(redis_server, tmp_path)[0]) == -1


def test_a_full_server_keeps_the_old_version(
    store: RedisStore, redis_server: RedisServer, tmp_path: Path
) -> None:
    published(store, "m1", 10)
    room = int(redis_server.client.info("memory")["used_memory"]) + (4 << 20)
    redis_server.client.config_set("maxmemory", room)
    try:
        with pytest.raises(DiskFullError, match="Redis takes no more"):
            published(store, "m2", 20_000)
        assert len(keys(redis_server, tmp_path)) <= 4  # what was written of m2 is gone
        answer = store.get("recommendations", "c1")
        assert answer is not None and answer.version == "m1"
        redis_server.client.config_set("maxmemory", 1)
        with pytest.raises(DiskFullError, match="give it memory or disk and repeat"):
            store.update("recommendations", {"c1": 5}, at=AT)
    finally:
        redis_server.client.config_set("maxmemory", 0)
    assert published(store, "m2", 20) == 20


def test_entries_that_the_server_evicts_are_missed(
    store: RedisStore, redis_server: RedisServer, tmp_path: Path
) -> None:
    def entries() -> Iterator[tuple[str, int]]:
        yield from ((f"c{n}", n) for n in range(1500))
        for name in redis_server.client.scan_iter(f"{tmp_path.name}:e:*"):
            redis_server.client.delete(name)

    with pytest.raises(StoreError, match="maxmemory-policy noeviction"):
        store.publish("recommendations", entries(), version="m1", published_at=AT)
    published(store, "m2", 5)
    assert store.look("recommendations", ["nobody"]) == {}
    for name in redis_server.client.scan_iter(f"{tmp_path.name}:e:*"):
        redis_server.client.delete(name)
    assert store.look("recommendations", ["c1"]) is None


def test_what_is_over_gives_its_place_back(
    store: RedisStore, redis_server: RedisServer, tmp_path: Path
) -> None:
    for round_ in range(30):
        sessions = {f"s{round_}-{n}": n for n in range(50)}
        store.update("taste", sessions, at=AT, ttl=timedelta(seconds=1))
    entries = next(redis_server.client.scan_iter(f"{tmp_path.name}:e:*"))
    assert redis_server.client.hlen(entries) < 600


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    store = RedisStore(f"unix://{tmp_path}/none.sock")
    with pytest.raises(StoreError, match=r"cannot be read.*see that Redis runs") as caught:
        store.get("prices", "i1")
    assert "\n" not in str(caught.value)
    with pytest.raises(StoreError, match="cannot be written"):
        store.update("prices", {"i1": 1}, at=AT)
    store.close()


def test_a_user_with_few_rights_is_enough(redis_server: RedisServer, tmp_path: Path) -> None:
    password = tmp_path.name
    reads = ["+@read", "+@connection", "+@transaction"]
    rights = ["+set", "+del", "+unlink", "+incrby", "+hset", "+hdel", "+hincrby", "+expire"]
    rights += ["+persist"]
    for name, more in (("reader", []), ("publisher", rights)):
        rule = ["on", f">{password}", f"~{tmp_path.name}:*", *reads, *more]
        redis_server.client.execute_command("ACL", "SETUSER", name, *rule)
    stores = {
        name: RedisStore(redis_server.url, prefix=tmp_path.name, user=name, password=password)
        for name in ("reader", "publisher")
    }
    published(stores["publisher"], "m1", 5)
    assert stores["publisher"].update("recommendations", {"c9": 1, "c1": None}, at=AT) == 2
    assert set(stores["reader"].get_many("recommendations", ["c1", "c2", "c9"])) == {"c2", "c9"}
    with pytest.raises(StoreError, match="no permissions"):
        published(stores["reader"], "m2", 5)
    for store in stores.values():
        store.close()
