"""A customer out of the online store: no answer, and no byte in a free page."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from redis_server import RedisServer

from pipelines.scrub import scrub
from pipelines.settings import Settings, load_settings
from serving.forgetting import forget
from serving.lmdb_store import LmdbStore
from serving.redis_store import RedisStore

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHO = "shopper-7f3a9c1e-0042"
PAD = "x" * 3000


def settings_of(tmp_path: Path, **online: str) -> Settings:
    given = {f"online.{name}": value for name, value in online.items()}
    settings = load_settings(overrides={"root": str(tmp_path / "lake"), **given})
    settings.state.mkdir(parents=True)
    return settings


def names(text: str) -> bool:
    return scrub(text, WHO) != text


def test_no_byte_is_left_in_the_folder_and_the_others_are_answered(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    folder = settings.state / "online"
    with closing(LmdbStore(folder)) as store:
        for version in ("1", "2"):  # what the first one took is free, and full of its bytes
            entries = [(who, {"pad": PAD}) for who in (WHO, f"{WHO}9", "c1")]
            store.publish("histories", entries, version=version, published_at=AT)
        live = {f"c:{WHO}": ["i1"], "s:1": {"customer_id": WHO}, "s:2": {"customer_id": "c1"}}
        store.update("taste", live, at=AT)
    assert WHO.encode() in (folder / "data.mdb").read_bytes()
    assert forget(settings, (WHO,), names) == 3
    stored = (folder / "data.mdb").read_bytes()
    assert stored.count(WHO.encode()) == stored.count(f"{WHO}9".encode()) > 0  # another customer
    with closing(LmdbStore(folder)) as store:
        found = store.get_many("histories", [WHO, f"{WHO}9", "c1"])
        assert sorted(found) == ["c1", f"{WHO}9"]
        assert sorted(store.get_many("taste", live)) == ["s:2"]
        assert store.publish("histories", [("c2", {})], version="3", published_at=AT) == 1
    assert forget(settings, (WHO,), names) == 0


def test_a_short_id_is_a_key_or_a_field_and_nothing_else(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with closing(LmdbStore(settings.state / "online")) as store:
        store.publish("histories", [("42", {}), ("421", {"n": 42})], version="1", published_at=AT)
    assert forget(settings, ("42",), lambda text: scrub(text, "42") != text) == 1


def test_redis_lets_go_of_every_generation(redis_server: RedisServer, tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path, kind="redis", redis_url=redis_server.url, redis_prefix=tmp_path.name
    )
    with closing(RedisStore(redis_server.url, prefix=tmp_path.name, timeout_s=10)) as store:
        store.publish("histories", [(WHO, {}), ("c1", {})], version="1", published_at=AT)
        store.update("taste", {f"c:{WHO}": ["i1"]}, at=AT)
        changes = store.changes()
        assert forget(settings, (WHO,), names) == 2
        assert (store.get("histories", WHO), store.get("taste", f"c:{WHO}")) == (None, None)
        assert store.get("histories", "c1") is not None
        assert store.changes()["histories"] > changes.get("histories", 0)  # copies follow
