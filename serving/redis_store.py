"""The online store in Redis, for more than one machine."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from pipelines.errors import DiskFullError, StoreError
from serving import encoding
from serving.online import Answer, Change, JSONValue, KindInfo
from serving.redis_layout import WHOLE, Layout

READ_S = 0.1  # a request waits no longer for Redis
WRITE_S = 30.0
ATTEMPTS = 5  # at a read during which the version was switched
BATCH_ENTRIES, BATCH_BYTES = 1000, 1 << 20  # Redis answers nobody else meanwhile


class RedisStore:
    """The `OnlineStore` in a Redis server (7.0 or later). Safe to share between threads.

    Args:
        url: `redis://HOST:PORT/DB`, `rediss://` with TLS or `unix:///PATH`.
        prefix: what every key begins with.
        user: name in the server's access list; empty: the default user.
        password: its password, or empty.
        timeout_s: how long an answer of Redis is waited for.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lakehouse",
        user: str = "",
        password: str = "",
        timeout_s: float = READ_S,
    ) -> None:
        self._url = url
        self._redis: Any = redis.Redis.from_url(
            url,
            username=user or None,
            password=password or None,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # A kept connection may have died with an earlier server: once more, with a new one.
            retry=Retry(NoBackoff(), 1, (redis.ConnectionError,)),
        )
        self._seen: dict[bytes, tuple[bytes, int, KindInfo]] = {}  # kind -> its last record, parsed
        self._layout = Layout(self._redis, prefix)

    def publish(
        self,
        kind: str,
        entries: Iterable[tuple[str, JSONValue]],
        *,
        version: str,
        published_at: datetime,
        ttl: timedelta | None = None,
    ) -> int:
        """See `OnlineStore.publish`."""
        name = encoding.checked(kind, published_at)
        info = encoding.new_info(version, published_at, 0, ttl)
        pairs = encoding.published(kind, entries)
        with self._errors("written"):
            generation = self._layout.begin(name)
            try:
                count = 0
                for batch in encoding.batches(pairs, BATCH_ENTRIES, BATCH_BYTES):
                    count += self._layout.put(name, generation, batch)
                self._layout.switch(name, generation, replace(info, entries=count))
            except Exception:
                with suppress(redis.RedisError):  # else it expires
                    self._layout.drop(name, generation)
                raise
        return count

    def update(
        self,
        kind: str,
        changes: Mapping[str, JSONValue],
        *,
        at: datetime,
        ttl: timedelta | None = None,
    ) -> int:
        """See `OnlineStore.update`."""
        return self.apply(Change(kind, key, value, at, ttl) for key, value in changes.items())

    def apply(self, changes: Iterable[Change]) -> int:
        """See `OnlineStore.apply`; each kind is one transaction."""
        by_kind = encoding.changed(changes)
        with self._errors("written"):
            return sum(
                self._layout.update(n, pairs, first) for n, (first, pairs) in by_kind.items()
            )

    def forget(self, is_of: Callable[[bytes, bytes], bool]) -> int:
        """See `Layout.forget`; returns how many entries went."""
        with self._errors("written"):
            return self._layout.forget(is_of)

    def get(self, kind: str, key: str) -> Answer | None:
        """See `OnlineStore.get`."""
        return self.get_many(kind, (key,)).get(key)

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """See `OnlineStore.get_many`."""
        return self.look(kind, keys) or {}

    def look(self, kind: str, keys: Iterable[str]) -> dict[str, Answer] | None:
        """As `get_many`; None where the kind is not there, or not whole any more."""
        wanted = [(key, name) for key in keys if (name := encoding.entry_key(key)) is not None]
        kind_name = encoding.key_bytes(kind)
        if not kind_name:
            return None
        fields = [WHOLE, *(name for _, name in wanted)]
        with self._errors("read"):
            raw, info = self._read(kind_name, fields)
        if info is None or raw[0] is None:
            return None
        now = encoding.now()
        found = zip((key for key, _ in wanted), raw[1:], strict=True)
        return {k: a for k, v in found if (a := encoding.answer(v, info, now)) is not None}

    def get_each(self, wanted: Sequence[tuple[str, str]]) -> list[Answer | None]:
        """See `OnlineStore.get_each`; each is asked for by itself."""
        return [self.get(kind, key) for kind, key in wanted]

    def kinds(self) -> dict[str, KindInfo]:
        """See `OnlineStore.kinds`."""
        with self._errors("read"):
            found = self._redis.hgetall(self._layout.key(b"kinds"))
        told = {name.decode(): encoding.read_record(record)[1] for name, record in found.items()}
        now = encoding.now()
        return {k: info for k, info in told.items() if not encoding.has_expired(info, now)}

    def changes(self) -> dict[str, int]:
        """How many updates each kind has seen."""
        with self._errors("read"):
            found = self._redis.hgetall(self._layout.key(b"changes"))
        return {name.decode(): int(count) for name, count in found.items()}

    def encoded(self, kind: str) -> tuple[KindInfo, Iterator[encoding.Pair]]:
        """What is current of a kind, with its entries as they are stored.

        Raises:
            StoreError: it is not there, or while its entries are read another version came.
        """
        with self._errors("read"):
            found = self._redis.hget(self._layout.key(b"kinds"), kind.encode())
        if found is None:
            raise StoreError(f"{self._url}: {kind} is not published; run `lakehouse publish`")
        return encoding.read_record(found)[1], self._scan(kind, found)

    @property
    def is_degraded(self) -> bool:
        """See `OnlineStore.is_degraded`; what falls back is `LastGood`."""
        return False

    def close(self) -> None:
        """See `OnlineStore.close`."""
        self._redis.close()

    def _read(self, kind: bytes, fields: list[bytes]) -> tuple[list[Any], KindInfo | None]:
        """Fields of the current generation, and what it is, in one round trip but after a switch.

        The record is read after the fields: a generation that is current then was so before,
        because its entries are only dropped with the switch to the next one.
        """
        for _ in range(ATTEMPTS):
            known, generation, info = self._seen.get(kind, (None, 0, None))
            pipe = self._redis.pipeline(transaction=False)
            pipe.hmget(self._layout.entries(generation), fields)
            pipe.hget(self._layout.key(b"kinds"), kind)
            raw, record = pipe.execute()
            if record is None or record == known:
                return raw, info if record else None
            self._seen[kind] = (record, *encoding.read_record(record))
        raise StoreError(f"{self._url}: {kind.decode()} is published faster than it can be read")

    def _scan(self, kind: str, record: bytes) -> Iterator[encoding.Pair]:
        entries = self._layout.entries(encoding.read_record(record)[0])
        whole = False
        with self._errors("read"):
            for key, value in self._redis.hscan_iter(entries, count=BATCH_ENTRIES):
                if key == WHOLE:
                    whole = True
                else:
                    yield key, value
            if not whole or self._redis.hget(self._layout.key(b"kinds"), kind.encode()) != record:
                raise StoreError(f"{self._url}: {kind} changed while it was read; repeat")

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except redis.RedisError as error:
            why = " ".join(str(error).split()).rstrip(".")
            is_full = isinstance(error, redis.OutOfMemoryError) or "'maxmemory'" in why
            if is_full or "MISCONF" in why:  # the latter: it cannot save to its disk
                raise DiskFullError(
                    f"{self._url}: Redis takes no more ({why}); give it memory or disk and repeat"
                ) from None
            raise StoreError(
                f"{self._url}: the online store cannot be {done}: {why}; see that Redis runs and"
                " online.redis_url and its password are right"
            ) from None
