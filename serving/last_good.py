"""A store on another machine, and a full copy of it here that answers while it cannot."""

import fcntl
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from pipelines.errors import DiskFullError, StoreError
from serving.lmdb_store import LmdbStore
from serving.online import Answer, Change, JSONValue, KindInfo
from serving.redis_store import RedisStore

WATCH_S = 1.0
CHANGES_S = 30.0  # a kind that is updated all the time is copied no more often

logger = logging.getLogger(__name__)


class LastGood:
    """Answers from Redis, and from the last good copy of it, flagged, when that is not possible.

    A read that fails opens the circuit: from then on the copy answers at once. A thread asks
    Redis every `watch_s` and closes the circuit when it answers again; while it does, the thread
    keeps the copy up to date, in one of the processes that share the folder. A kind that Redis
    has lost (it began anew, or evicted it) is answered from the copy as well.

    Args:
        remote: the store; it is closed with this one.
        folder: where the copy is kept, on this machine.
        watch_s: seconds between looks at the remote store.
    """

    def __init__(self, remote: RedisStore, folder: Path, *, watch_s: float = WATCH_S) -> None:
        self._remote, self._copy, self._watch_s = remote, LmdbStore(folder), watch_s
        self._failure: StoreError | None = None  # not None: the circuit is open
        self._copied: dict[str, tuple[int, float]] = {}  # kind -> updates seen, when
        self._lock = (folder / "copying.lock").open("w")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="last good copy", daemon=True)
        self._thread.start()

    @property
    def is_degraded(self) -> bool:
        """See `OnlineStore.is_degraded`."""
        return self._failure is not None

    def publish(
        self,
        kind: str,
        entries: Iterable[tuple[str, JSONValue]],
        *,
        version: str,
        published_at: datetime,
        ttl: timedelta | None = None,
    ) -> int:
        """See `OnlineStore.publish`; the copy follows."""
        return self._remote.publish(
            kind, entries, version=version, published_at=published_at, ttl=ttl
        )

    def update(
        self,
        kind: str,
        changes: Mapping[str, JSONValue],
        *,
        at: datetime,
        ttl: timedelta | None = None,
    ) -> int:
        """See `OnlineStore.update`; the copy follows."""
        return self._remote.update(kind, changes, at=at, ttl=ttl)

    def apply(self, changes: Iterable[Change]) -> int:
        """See `OnlineStore.apply`; the copy follows."""
        return self._remote.apply(changes)

    def get(self, kind: str, key: str) -> Answer | None:
        """See `OnlineStore.get`."""
        return self.get_many(kind, (key,)).get(key)

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """See `OnlineStore.get_many`."""
        keys = list(keys)
        if self._failure is None:
            try:
                found = self._remote.look(kind, keys)
                if found is not None:
                    return found
            except StoreError as error:
                self._open(error)
        copied = self._copy.get_many(kind, keys)
        if not copied and kind not in self._copy.kinds():
            self._raise_failure()
        return {key: replace(answer, stale=True) for key, answer in copied.items()}

    def get_each(self, wanted: Sequence[tuple[str, str]]) -> list[Answer | None]:
        """See `OnlineStore.get_each`; each is asked for by itself."""
        return [self.get(kind, key) for kind, key in wanted]

    def kinds(self) -> dict[str, KindInfo]:
        """See `OnlineStore.kinds`."""
        copied = self._copy.kinds()
        if self._failure is None:
            try:
                return copied | self._remote.kinds()
            except StoreError as error:
                self._open(error)
        if not copied:
            self._raise_failure()
        return copied

    def close(self) -> None:
        """See `OnlineStore.close`."""
        self._stop.set()
        self._thread.join()
        self._lock.close()
        self._copy.close()
        self._remote.close()

    def _raise_failure(self) -> None:
        failure = self._failure
        if failure is not None:
            raise StoreError(str(failure))

    def _open(self, error: StoreError) -> None:
        if self._failure is None:
            logger.warning("answers come from the last good copy: %s", error)
        self._failure = error

    def _watch(self) -> None:
        while True:
            try:
                there, changes = self._remote.kinds(), self._remote.changes()
            except StoreError as error:
                self._open(error)
            else:
                if self._failure is not None:
                    logger.warning("the online store answers again")
                self._failure = None
                self._follow(there, changes)
            if self._stop.wait(self._watch_s):
                return

    def _follow(self, there: dict[str, KindInfo], changes: dict[str, int]) -> None:
        """Copy what is new, if no other process does."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # kept until this one ends
        except BlockingIOError:
            return
        here = self._copy.kinds()
        for kind, info in there.items():
            updates = changes.get(kind, 0)
            seen, at = self._copied.get(kind, (-1, 0.0))
            is_due = updates != seen and time.monotonic() - at >= CHANGES_S
            is_new = kind not in here or _stamp(here[kind]) != _stamp(info)
            if (is_new or is_due) and not self._stop.is_set():
                self._copy_kind(kind)
                self._copied[kind] = (updates, time.monotonic())

    def _copy_kind(self, kind: str) -> None:
        try:
            info, pairs = self._remote.encoded(kind)
            self._copy.publish_encoded(kind, pairs, info)
        except (StoreError, DiskFullError) as error:
            logger.warning("%s is not copied: %s", kind, error)


def _stamp(info: KindInfo) -> tuple[str, datetime]:
    """What tells publishes apart; a copy counts the entries that updates have added as well."""
    return info.version, info.published_at
