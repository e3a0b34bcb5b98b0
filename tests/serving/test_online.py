"""The contract of every online store."""

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis_server import RedisServer

from pipelines.errors import StoreError
from serving.lmdb_store import LmdbStore
from serving.online import Change, KindInfo, OnlineStore
from serving.redis_store import RedisStore

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SMALL_MAP = 1 << 20
Open = Callable[..., OnlineStore]
spawn = multiprocessing.get_context("spawn")


def open_lmdb(path: Path, readonly: bool = False) -> OnlineStore:
    return LmdbStore(path, readonly=readonly, map_bytes=SMALL_MAP)


def open_redis(url: str, path: Path, readonly: bool = False) -> OnlineStore:
    return RedisStore(url, prefix=str(path), timeout_s=20)


@pytest.fixture(params=["lmdb", "redis"])
def opened(request: pytest.FixtureRequest) -> Open:
    """How a store is opened, in any process."""
    if request.param == "lmdb":
        return open_lmdb
    server: RedisServer = request.getfixturevalue("redis_server")
    return partial(open_redis, server.url)


@pytest.fixture
def store(opened: Open, tmp_path: Path) -> Iterator[OnlineStore]:
    store = opened(tmp_path / "online")
    yield store
    store.close()


def published(store: OnlineStore, version: str, size: int, *, pad: int = 0) -> int:
    entries = ((f"c{i}", {"v": version, "pad": "x" * pad}) for i in range(size))
    return store.publish("recommendations", entries, version=version, published_at=AT)


def test_an_empty_store_knows_nothing(store: OnlineStore) -> None:
    assert store.get("recommendations", "c1") is None
    assert store.get_many("recommendations", ["c1"]) == {}
    assert store.kinds() == {}


def test_published_entries_are_read_with_their_version(store: OnlineStore) -> None:
    assert published(store, "m1", 3) == 3
    answer = store.get("recommendations", "c1")
    assert answer is not None
    assert (answer.value["v"], answer.version, answer.published_at) == ("m1", "m1", AT)
    assert set(store.get_many("recommendations", ["c0", "c2", "nobody"])) == {"c0", "c2"}
    assert store.get("similar", "c1") is None


def test_a_new_version_replaces_the_whole_kind_and_no_other(store: OnlineStore) -> None:
    store.publish("prices", [("i1", 5)], version="p1", published_at=AT)
    published(store, "m1", 5)
    published(store, "m2", 2)
    assert store.get("recommendations", "c4") is None
    assert store.kinds() == {
        "prices": KindInfo("p1", AT, 1),
        "recommendations": KindInfo("m2", AT, 2),
    }


def test_an_empty_publish_empties_the_kind(store: OnlineStore) -> None:
    published(store, "m1", 2)
    assert published(store, "m2", 0) == 0
    assert store.get("recommendations", "c0") is None
    assert store.kinds()["recommendations"].entries == 0


def test_publishing_a_version_again_changes_nothing(store: OnlineStore) -> None:
    assert published(store, "m1", 4) == published(store, "m1", 4) == 4
    assert store.kinds() == {"recommendations": KindInfo("m1", AT, 4)}


def test_of_a_repeated_key_the_last_value_stays(store: OnlineStore) -> None:
    assert store.publish("prices", [("i", 1), ("i", 2)], version="1", published_at=AT) == 1
    answer = store.get("prices", "i")
    assert answer is not None and answer.value == 2


def test_times_are_told_in_utc(store: OnlineStore) -> None:
    at = AT.astimezone(timezone(timedelta(hours=5)))
    store.publish("prices", [], version="1", published_at=at)
    assert store.kinds()["prices"].published_at.utcoffset() == timedelta(0)
    with pytest.raises(StoreError, match="timezone"):
        store.publish("prices", [], version="1", published_at=AT.replace(tzinfo=None))


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, "\ud800", AT])
def test_a_value_that_is_not_json_is_refused(store: OnlineStore, value: Any) -> None:
    published(store, "m1", 2)
    with pytest.raises(StoreError, match="'bad' is not JSON"):
        store.publish("recommendations", [("bad", value)], version="m2", published_at=AT)
    assert store.kinds() == {"recommendations": KindInfo("m1", AT, 2)}


def test_an_impossible_key_is_refused_and_never_found(store: OnlineStore) -> None:
    key = "\ud800"
    with pytest.raises(StoreError, match=r"key .* is not UTF-8") as caught:
        store.publish("prices", [("fine", 1), (key, 1)], version="1", published_at=AT)
    assert "\n" not in str(caught.value)
    assert store.get("prices", key) is None
    assert store.get(key, "fine") is None


def test_long_keys_are_kept_apart(store: OnlineStore) -> None:
    """The longest of the lake's texts take 4 bytes a character, and two of them make a key."""
    text = "\U0001f6d2" * 128
    keys = [text, f"{text}|{text}", f"{text}|north", "k" * 502, "k" * 503, "k" * 504]
    entries = {key: number for number, key in enumerate(keys)}
    store.publish("top_sellers", entries.items(), version="1", published_at=AT)
    found = store.get_many("top_sellers", keys)
    assert {key: answer.value for key, answer in found.items()} == entries
    assert store.get("top_sellers", "k" * 505) is None
    assert store.get("k" * 600, "fine") is None
    with pytest.raises(StoreError, match="it needs a name of 1 to"):
        store.publish("k" * 600, [], version="1", published_at=AT)


def test_the_key_of_another_kind_never_shows(store: OnlineStore) -> None:
    store.publish("a", [("bc", 1)], version="1", published_at=AT)
    store.publish("ab", [("c", 2)], version="1", published_at=AT)
    assert store.get("a", "c") is None and store.get("ab", "bc") is None


def test_the_overtaken_publish_is_refused(store: OnlineStore) -> None:
    def overtaken() -> Iterator[tuple[str, str]]:
        yield "c0", "slow"
        published(store, "fast", 2)

    with pytest.raises(StoreError, match="another publish of recommendations"):
        store.publish("recommendations", overtaken(), version="slow", published_at=AT)
    assert store.kinds()["recommendations"].version == "fast"


# --- time to live, updates ----------------------------------------------------------------

LONG_AGO = timedelta(seconds=1)  # AT is further back
YEARS = timedelta(days=36_500)


def test_a_kind_is_answered_for_its_time_to_live(store: OnlineStore) -> None:
    store.publish("prices", [("i1", 5)], version="1", published_at=AT, ttl=YEARS)
    assert store.get("prices", "i1") is not None
    assert store.kinds()["prices"] == KindInfo("1", AT, 1, AT + YEARS)
    store.publish("prices", [("i1", 5)], version="2", published_at=AT, ttl=LONG_AGO)
    assert store.get("prices", "i1") is None
    assert store.kinds() == {}


def test_an_update_changes_and_deletes_keys_of_what_is_published(store: OnlineStore) -> None:
    later = AT + timedelta(hours=1)
    store.publish("prices", [("i1", 1), ("i2", 2), ("i3", 3)], version="1", published_at=AT)
    assert store.update("prices", {"i1": 10, "i2": None, "i4": 4}, at=later) == 3
    found = store.get_many("prices", ["i1", "i2", "i3", "i4"])
    told = {key: (answer.value, answer.published_at) for key, answer in found.items()}
    assert told == {"i1": (10, later), "i3": (3, AT), "i4": (4, later)}
    store.publish("prices", [("i2", 2)], version="2", published_at=later)
    assert set(store.get_many("prices", ["i1", "i2", "i4"])) == {"i2"}


def test_updates_may_come_twice_and_in_any_order(store: OnlineStore) -> None:
    times = [AT + timedelta(microseconds=n) for n in range(3)]
    for n in (1, 2, 0, 2, 1):
        store.update("stock", {"i1": n, "i2": None if n == 2 else n}, at=times[n])
    last = store.get("stock", "i1")
    assert last is not None and (last.value, last.published_at) == (2, times[2])
    now = datetime.now(UTC)
    store.update("stock", {"i2": None}, at=now)
    assert store.update("stock", {"i2": 5}, at=now - timedelta(seconds=1)) == 0
    assert store.get("stock", "i2") is None  # deleted later than that
    assert store.update("stock", {"i2": 6}, at=now + timedelta(seconds=1)) == 1


def test_a_kind_that_is_only_updated_is_live(store: OnlineStore) -> None:
    assert store.update("taste", {"s1": [1]}, at=AT, ttl=YEARS) == 1
    assert store.update("taste", {"s2": [2]}, at=AT, ttl=LONG_AGO) == 1
    assert set(store.get_many("taste", ["s1", "s2"])) == {"s1"}
    assert store.kinds() == {"taste": KindInfo("live", AT, 0)}
    assert store.update("taste", {}, at=AT) == 0


def test_changes_of_several_kinds_each_have_their_own_time(store: OnlineStore) -> None:
    store.publish("prices", [("i1", 1)], version="1", published_at=AT)
    second = timedelta(seconds=1)
    changes = [
        Change("prices", "i1", 11, AT + second),
        Change("prices", "i1", 10, AT),
        Change("prices", "i2", 12, AT + 2 * second, YEARS),
        Change("taste", "s1", [1], AT),
    ]
    assert store.apply(changes) == 3
    found = store.get_many("prices", ["i1", "i2"])
    told = {key: (answer.value, answer.published_at) for key, answer in found.items()}
    assert told == {"i1": (11, AT + second), "i2": (12, AT + 2 * second)}
    assert store.apply(reversed(changes)) == 3  # as new as what is there
    assert store.get_many("prices", ["i1", "i2"]) == found
    with pytest.raises(StoreError, match="not JSON"):
        store.apply([Change("taste", "s1", 2, AT + second), Change("prices", "i1", {1}, AT)])  # type: ignore[arg-type]
    answer = store.get("taste", "s1")
    assert answer is not None and answer.value == [1]
    assert store.apply([]) == 0


def test_keys_of_several_kinds_are_read_at_once(store: OnlineStore) -> None:
    store.publish("prices", [("i1", 1)], version="1", published_at=AT)
    store.update("taste", {"s1": [1]}, at=AT + YEARS)
    unknown = [("prices", "i2"), ("none", "i1"), ("prices", "\ud800")]
    wanted = [("taste", "s1"), ("prices", "i1"), *unknown]
    found = store.get_each(wanted)
    assert found == [store.get("taste", "s1"), store.get("prices", "i1"), None, None, None]
    assert found[0] is not None and store.get_each([]) == []


def test_what_cannot_be_stored_leaves_an_update_undone(store: OnlineStore) -> None:
    store.update("taste", {"s1": 1}, at=AT)
    with pytest.raises(StoreError, match="'s2' is not JSON"):
        store.update("taste", {"s1": 2, "s2": {1, 2}}, at=AT + YEARS)
    with pytest.raises(StoreError, match="timezone"):
        store.update("taste", {"s1": 2}, at=AT.replace(tzinfo=None))
    answer = store.get("taste", "s1")
    assert answer is not None and answer.value == 1


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)  # fmt: skip


def test_get_answers_what_a_dict_would(opened: Open) -> None:
    with TemporaryDirectory() as folder:
        store = opened(Path(folder) / "online")

        @settings(max_examples=40, deadline=None)
        @given(entries=st.dictionaries(st.text(max_size=60), JSON), other=st.text())
        def check(entries: dict[str, Any], other: str) -> None:
            count = store.publish("any", entries.items(), version="1", published_at=AT)
            assert count == len(entries)
            found = store.get_many("any", [*entries, other])
            assert {key: answer.value for key, answer in found.items()} == entries
            assert (store.get("any", other) is None) == (other not in entries)

        check()
        store.close()


def read_until_told(opened: Open, path: Path, ready: Any, stop: Any, told: Any) -> None:
    """In a process of its own: every read is of one whole version, and versions only grow."""
    store = opened(path, readonly=True)
    keys = [f"c{i}" for i in range(40)]
    seen: list[int] = []
    reads = 0
    ready.set()
    while not stop.is_set():
        answers = store.get_many("recommendations", keys)
        versions = {a.version for a in answers.values()} | {a.value["v"] for a in answers.values()}
        assert len(answers) == 40 and len(versions) == 1, (len(answers), versions)
        seen.append(int(versions.pop()))
        reads += 1
    assert seen == sorted(seen)
    told.put((reads, len(set(seen)), seen[-1]))


def test_readers_see_whole_versions_while_the_store_grows(
    opened: Open, store: OnlineStore, tmp_path: Path
) -> None:
    published(store, "0", 40)
    ready, stop, told = spawn.Event(), spawn.Event(), spawn.Queue()
    arguments = (opened, tmp_path / "online", ready, stop, told)
    reader = spawn.Process(target=read_until_told, args=arguments)
    reader.start()
    assert ready.wait(20)
    for version in range(1, 16):  # the last one holds 9 MB, the map began with 1 MiB
        published(store, str(version), 40 * version, pad=1000 * version)
        time.sleep(0.02)
    time.sleep(0.1)
    stop.set()
    reads, versions, last = told.get(timeout=20)
    reader.join()
    assert reader.exitcode == 0
    assert reads > 15 and versions > 3 and last == 15


def die_while_publishing(opened: Open, path: Path) -> None:
    def entries() -> Iterator[tuple[str, str]]:
        yield from ((f"c{i}", "lost") for i in range(25_000))  # 2 transactions are through
        os._exit(9)

    opened(path).publish("recommendations", entries(), version="lost", published_at=AT)


def test_a_crash_while_writing_leaves_the_old_version(opened: Open, tmp_path: Path) -> None:
    path = tmp_path / "online"
    before = opened(path)
    published(before, "m1", 5)
    before.close()
    crash = spawn.Process(target=die_while_publishing, args=(opened, path))
    crash.start()
    crash.join()
    assert crash.exitcode == 9
    store = opened(path)
    assert store.kinds() == {"recommendations": KindInfo("m1", AT, 5)}
    assert store.get("recommendations", "c9") is None
    published(store, "m2", 3)
    assert store.kinds() == {"recommendations": KindInfo("m2", AT, 3)}
    store.close()
