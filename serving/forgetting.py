"""A customer out of the online store: the entries, and the bytes that LMDB keeps of them.

LMDB marks the pages of what is deleted as free and leaves their bytes. So the store is copied,
without its free pages, and the copy takes its place; whoever has the old one open would never see
another publish, so nobody may.
"""

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb

from pipelines.errors import LockedError, StoreError
from pipelines.settings import Settings
from serving.encoding import entry_key
from serving.redis_store import RedisStore
from serving.stores import store_to_write

IsOf = Callable[[bytes, bytes], bool]
_HEAD = 9  # bytes of a key before that of the entry, see `lmdb_layout`


def folders(settings: Settings) -> list[Path]:
    """The stores on this machine: the one, and the last good copy of one elsewhere."""
    found = (settings.state / name for name in ("online", "online-copy"))
    return [folder for folder in found if (folder / "data.mdb").is_file()]


def require_closed(settings: Settings) -> None:
    """Refuse while another process has a store open.

    Raises:
        LockedError: one has.
    """
    for folder in folders(settings):
        # LMDB itself holds this lock, shared, in every process that has the store open.
        with (folder / "lock.mdb").open("a+b") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 0)
            except (BlockingIOError, PermissionError):
                raise LockedError(
                    f"a process has {folder} open, as `lakehouse serve` does; stop it, erase, and "
                    "start it again"
                ) from None


def forget(settings: Settings, people: tuple[str, ...], names: Callable[[str], bool]) -> int:
    """Delete what is kept of customers in the online store; returns the number of entries.

    Args:
        people: their ids.
        names: whether a text names one of them.

    Raises:
        LockedError: a process has the store open.
        StoreError: it cannot be written.
    """
    keys = {key for who in people for key in map(entry_key, (who, f"c:{who}")) if key}

    def is_of(key: bytes, value: bytes) -> bool:
        return key in keys or names(_text(key)) or names(_text(value))

    require_closed(settings)
    removed = sum(_forget_in(folder, is_of) for folder in folders(settings))
    if settings.online.kind == "redis":
        store = store_to_write(settings)
        try:
            removed += store.forget(is_of) if isinstance(store, RedisStore) else 0
        finally:
            store.close()
    return removed


def _text(stored: bytes) -> str:
    return stored.decode(errors="replace")


def _forget_in(folder: Path, is_of: IsOf) -> int:
    copy = folder / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    size = (folder / "data.mdb").stat().st_size
    try:
        with lmdb.open(str(folder), map_size=2 * size + (64 << 20), max_readers=1024) as env:
            removed = _delete(env, is_of)
            env.copy(str(copy), compact=True)
            env.sync(True)
    except (lmdb.Error, OSError) as error:
        raise StoreError(
            f"{folder}: the online store cannot be written: {error}; see that nothing else uses it,"
            " then erase again"
        ) from None
    (copy / "data.mdb").replace(folder / "data.mdb")
    shutil.rmtree(copy)
    return removed


def _delete(env: lmdb.Environment, is_of: IsOf) -> int:
    removed = 0
    with env.begin(write=True) as txn:
        cursor = txn.cursor()
        there = cursor.set_range(b"e")
        while there and cursor.key().startswith(b"e"):
            if is_of(cursor.key()[_HEAD:], cursor.value()):
                there = cursor.delete() and bool(cursor.key())  # it moves on to the next
                removed += 1
            else:
                there = cursor.next()
    return removed
