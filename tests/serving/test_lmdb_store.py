"""What only the embedded online store promises."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StoreError
from serving import lmdb_layout as layout
from serving.lmdb_store import LmdbStore

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SMALL_MAP = 1 << 20


def published(store: LmdbStore, version: str, size: int, *, pad: int = 0) -> int:
    entries = ((f"c{i}", {"v": version, "pad": "x" * pad}) for i in range(size))
    return store.publish("recommendations", entries, version=version, published_at=AT)


def records(store: LmdbStore) -> int:
    return int(store._env.stat()["entries"])


@pytest.mark.parametrize("point", ["begin", "put", "switch", "delete_some"])
def test_a_crash_at_any_step_loses_nothing_and_is_cleaned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    store = LmdbStore(tmp_path / "online")
    published(store, "m1", 50)
    with monkeypatch.context() as patch:
        patch.setattr(layout, "BATCH_ENTRIES", 10)
        original, calls = getattr(layout, point), 0

        def crash(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == 2 or point in ("begin", "switch"):
                raise KeyboardInterrupt
            return original(*args, **kwargs)

        patch.setattr(layout, point, crash)
        with pytest.raises(KeyboardInterrupt):
            published(store, "m2", 30)
    expected = ("m2", 30) if point == "delete_some" else ("m1", 50)
    info = store.kinds()["recommendations"]
    assert (info.version, info.entries) == expected
    published(store, "m3", 7)
    assert records(store) == 7 + 4  # the entries, and one record each of f, n, g and k
    store.close()


def test_the_space_of_old_versions_is_used_again(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "online", map_bytes=SMALL_MAP)
    sizes = []
    for version in range(8):
        published(store, str(version), 500, pad=1000)
        sizes.append((tmp_path / "online" / "data.mdb").stat().st_size)
    assert sizes[-1] < 1.1 * sizes[2]
    store.close()


def test_a_value_larger_than_the_map_is_stored(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "online", map_bytes=SMALL_MAP)
    published(store, "big", 1, pad=5 << 20)
    answer = store.get("recommendations", "c0")
    assert answer is not None and len(answer.value["pad"]) == 5 << 20
    store.close()


def test_a_store_that_is_absent_damaged_or_newer_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no online store; run `lakehouse demo`"):
        LmdbStore(tmp_path / "absent", readonly=True)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "data.mdb").write_bytes(b"no database" * 2000)
    with pytest.raises(StoreError, match="delete it and run `lakehouse publish`"):
        LmdbStore(tmp_path / "damaged", readonly=True)
    newer = LmdbStore(tmp_path / "newer")
    newer._write(lambda txn: txn.put(b"f", b"2"))
    newer.close()
    newer.close()
    with pytest.raises(StoreError, match="format 2"):
        LmdbStore(tmp_path / "newer")


def test_what_cannot_be_done_is_a_store_error(tmp_path: Path) -> None:
    writable = LmdbStore(tmp_path / "online")
    with pytest.raises(StoreError, match="already open in this process"):
        LmdbStore(tmp_path / "online")
    writable.close()
    with pytest.raises(StoreError, match="cannot be read"):
        writable.get("prices", "i1")
    store = LmdbStore(tmp_path / "online", readonly=True)
    with pytest.raises(StoreError, match="cannot be written"):
        published(store, "m1", 1)
    store.close()


def test_what_is_over_gives_its_place_back(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "online", map_bytes=SMALL_MAP)
    for round_ in range(30):
        sessions = {f"s{round_}-{n}": n for n in range(50)}
        store.update("taste", sessions, at=AT, ttl=timedelta(seconds=1))
    assert records(store) < 300
    store.close()
