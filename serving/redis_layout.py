"""The records of the online store in Redis, and the steps of a write, each one transaction.

Each key begins with a prefix, so that lakes can share a server:

    PREFIX:n                 the last generation handed out
    PREFIX:kinds             kind -> its current generation, version, times and number of entries
    PREFIX:w:KIND            the generation that is being written
    PREFIX:changes           kind -> how many updates it has seen
    PREFIX:e:GENERATION      key -> value, see `encoding`, and one that marks them as whole

Transactions are WATCH and MULTI: a server that refuses scripts will do.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from pipelines.errors import StoreError
from serving import encoding
from serving.online import KindInfo

SWEEP_ENTRIES = 100  # looked at in every update for what has outlived its time to live
UNFINISHED_S = 3600  # entries of a publish that writes no more
# A server that evicts takes whole hashes and may leave the record: then the mark is gone as well.
WHOLE = b"\xff"  # shorter than any hash of a long key, and no UTF-8
T = TypeVar("T")


class Layout:
    """What a write does to the records under a prefix."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._redis, self._prefix = client, prefix.encode()
        self._swept: dict[bytes, int] = {}  # kind -> where HSCAN goes on

    def key(self, name: bytes) -> bytes:
        return self._prefix + b":" + name

    def entries(self, generation: int) -> bytes:
        return self.key(b"e:%d" % generation)

    def begin(self, name: bytes) -> int:
        """A new generation; an earlier publish of the kind that is still writing is overtaken."""
        generation = int(self._redis.incr(self.key(b"n")))
        self._redis.set(self.key(b"w:" + name), generation, ex=UNFINISHED_S)
        return generation

    def put(self, name: bytes, generation: int, batch: list[encoding.Pair]) -> int:
        """Write a batch; returns how many of its keys are new to the generation."""
        if not batch:
            return 0

        def work(pipe: Any) -> None:
            self._check_ours(pipe, name, generation)
            pipe.multi()
            pipe.hset(self.entries(generation), mapping=dict(batch))
            pipe.expire(self.entries(generation), UNFINISHED_S)
            pipe.expire(self.key(b"w:" + name), UNFINISHED_S)

        return int(self._redis.transaction(work, self.key(b"w:" + name))[0])

    def switch(self, name: bytes, generation: int, info: KindInfo) -> None:
        """Make a generation the current one and drop the one before."""

        def work(pipe: Any) -> None:
            self._check_ours(pipe, name, generation)
            if pipe.hlen(self.entries(generation)) != info.entries:
                raise StoreError(
                    f"Redis has dropped entries of {name.decode()} that were just written; set"
                    " maxmemory-policy noeviction, or give it more memory, and repeat"
                )
            old = pipe.hget(self.key(b"kinds"), name)
            pipe.multi()
            pipe.hset(self.entries(generation), WHOLE, b"")
            pipe.persist(self.entries(generation))
            pipe.hset(self.key(b"kinds"), name, encoding.record(generation, info))
            pipe.delete(self.key(b"w:" + name))
            if old is not None:
                pipe.unlink(self.entries(encoding.read_record(old)[0]))

        self._transact(work, b"w:" + name, b"kinds", b"e:%d" % generation)

    def drop(self, name: bytes, generation: int) -> None:
        """Drop what a publish has written, unless it did become current."""
        record = self._redis.hget(self.key(b"kinds"), name)
        if record is None or encoding.read_record(record)[0] != generation:
            self._redis.unlink(self.entries(generation))

    def forget(self, is_of: Callable[[bytes, bytes], bool]) -> int:
        """Delete the entries, of any generation, of which `is_of` says so by key and value."""
        removed = 0
        for entries in self._redis.scan_iter(match=self.key(b"e:*"), count=SWEEP_ENTRIES):
            found = self._redis.hscan_iter(entries, count=SWEEP_ENTRIES)
            if keys := [key for key, value in found if is_of(key, value)]:
                removed += int(self._redis.hdel(entries, *keys))
        for kind in self._redis.hkeys(self.key(b"kinds")) if removed else ():
            self._redis.hincrby(self.key(b"changes"), kind, 1)  # copies of them follow
        return removed

    def update(self, name: bytes, pairs: list[encoding.Pair], first: KindInfo) -> int:
        """Change entries of the current generation, or of one that begins as `first` says."""
        if not self._redis.hexists(self.key(b"kinds"), name):
            self.switch(name, self.begin(name), first)
        return self._transact(lambda pipe: self._change(pipe, name, pairs), b"kinds")

    def _change(self, pipe: Any, name: bytes, pairs: list[encoding.Pair]) -> int:
        record = pipe.hget(self.key(b"kinds"), name)
        if record is None:
            raise StoreError(f"Redis has lost {name.decode()} meanwhile; repeat the update")
        entries = self.entries(encoding.read_record(record)[0])
        pipe.watch(entries)
        stored = pipe.hmget(entries, [key for key, _ in pairs]) if pairs else []
        news = {
            key: value
            for (key, value), old in zip(pairs, stored, strict=True)
            if not encoding.is_newer(old, value)
        }
        over = [key for key in self._sweep(pipe, name, entries) if key not in news]
        pipe.multi()
        if over:
            pipe.hdel(entries, *over)
        if news:
            pipe.hset(entries, mapping=news)
            pipe.hincrby(self.key(b"changes"), name, 1)
        return len(news)

    def _sweep(self, pipe: Any, name: bytes, entries: bytes) -> list[bytes]:
        """Of some entries the keys that have outlived their time to live."""
        cursor, some = pipe.hscan(entries, self._swept.get(name, 0), count=SWEEP_ENTRIES)
        self._swept[name] = cursor
        now = encoding.now()
        return [key for key, value in some.items() if encoding.is_over(value, now)]

    def _check_ours(self, pipe: Any, name: bytes, generation: int) -> None:
        if pipe.get(self.key(b"w:" + name)) != str(generation).encode():
            raise StoreError(
                f"another publish of {name.decode()} has begun meanwhile, or Redis lost this one;"
                " repeat it"
            )

    def _transact(self, work: Callable[[Any], T], *watched: bytes) -> T:
        keys = [self.key(key) for key in watched]
        done: T = self._redis.transaction(work, *keys, value_from_callable=True)
        return done
