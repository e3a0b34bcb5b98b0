"""The online store that the settings name."""

import os

from pipelines.settings import Settings
from serving.last_good import LastGood
from serving.lmdb_store import LmdbStore
from serving.online import OnlineStore
from serving.redis_store import WRITE_S, RedisStore


def store_to_write(settings: Settings) -> OnlineStore:
    """The store as `lakehouse publish` needs it.

    Raises:
        StoreError: it cannot be opened.
    """
    if settings.online.kind == "redis":
        return _redis(settings, WRITE_S)
    return LmdbStore(settings.state / "online")


def store_to_read(settings: Settings) -> OnlineStore:
    """The store as the API needs it: that of another machine with a last good copy here.

    Beside a lake from which nothing was published yet, it is made, empty.

    Raises:
        StoreError: there is neither a store nor a lake, or it cannot be opened.
    """
    if settings.online.kind == "redis":
        return LastGood(_redis(settings, settings.online.timeout_s), settings.state / "online-copy")
    folder = settings.state / "online"
    if settings.state.is_dir() and not (folder / "data.mdb").is_file():
        LmdbStore(folder).close()
    return LmdbStore(folder, readonly=True)


def _redis(settings: Settings, timeout_s: float) -> RedisStore:
    online = settings.online
    return RedisStore(
        online.redis_url,
        prefix=online.redis_prefix,
        user=online.redis_user,
        password=os.environ.get("LAKEHOUSE_REDIS_PASSWORD", ""),
        timeout_s=timeout_s,
    )
