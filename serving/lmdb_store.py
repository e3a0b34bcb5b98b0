"""The online store in a folder: LMDB, read in microseconds by many processes, written by one."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from pipelines.errors import DiskFullError, StoreError
from serving import encoding
from serving import lmdb_layout as layout
from serving.online import Answer, Change, JSONValue, KindInfo

INITIAL_MAP_BYTES = 64 << 20
BATCH_BYTES = 8 << 20  # about as much is in one transaction, so that it never holds much memory
T = TypeVar("T")


class LmdbStore:
    """The embedded `OnlineStore`: a folder that many processes read while one writes.

    Safe to share between threads. LMDB allows a folder to be open once per process.

    Args:
        path: the folder; made if it does not exist, unless `readonly`.
        readonly: open for reading only.
        map_bytes: size of the memory map to begin with; it doubles on demand.

    Raises:
        StoreError: the folder holds no store (when `readonly`) or cannot be opened.
    """

    def __init__(
        self, path: Path, readonly: bool = False, *, map_bytes: int = INITIAL_MAP_BYTES
    ) -> None:
        self._path = path
        # LMDB forbids resizing the map while this process has a transaction open: reads hold
        # _gate, writes hold _writer, resizing holds both.
        self._gate, self._writer = threading.Lock(), threading.Lock()
        self._parsed: dict[bytes, tuple[bytes, KindInfo]] = {}  # by record
        self._swept: dict[bytes, bytes] = {}  # where the next sweep of a kind begins
        if readonly and not (path / "data.mdb").is_file():
            raise StoreError(
                f"{path}: no online store; run `lakehouse demo` or `lakehouse publish` first"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._env = lmdb.open(
                str(path), readonly=readonly, map_size=map_bytes, max_readers=1024
            )
        except (lmdb.Error, OSError) as error:
            raise self._error("opened", error) from None
        with self._reading() as txn:
            found = txn.get(b"f", layout.FORMAT)
        if found != layout.FORMAT:
            self.close()
            raise StoreError(
                f"{path}: online store of format {found.decode(errors='replace')}, this release"
                f" has {layout.FORMAT.decode()}; delete the folder and run `lakehouse publish`"
            )

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
        encoding.checked(kind, published_at)
        info = encoding.new_info(version, published_at, 0, ttl)
        return self.publish_encoded(kind, encoding.published(kind, entries), info)

    def publish_encoded(self, kind: str, pairs: Iterable[encoding.Pair], info: KindInfo) -> int:
        """Publish what is encoded already; of `info` the number of entries is counted anew."""
        name = encoding.checked(kind, info.published_at)
        generation = self._write(partial(layout.begin, name=name))
        # A reader that was killed keeps its slot, and with it every page it could see.
        self._env.reader_check()
        self._purge(name)
        count = 0
        for batch in encoding.batches(pairs, layout.BATCH_ENTRIES, BATCH_BYTES):
            put = partial(layout.put, name=name, generation=generation, batch=batch)
            count += self._write(put)
        info = replace(info, entries=count)
        self._write(partial(layout.switch, name=name, generation=generation, info=info))
        self._purge(name)
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
        """See `OnlineStore.apply`; all of it is one transaction."""
        by_kind = encoding.changed(changes)

        def work(txn: Any) -> tuple[int, dict[bytes, bytes]]:
            count, swept = 0, {}
            for name, (first, pairs) in by_kind.items():
                count += layout.update(txn, name, first, pairs)
                start = self._swept.get(name, b"")
                swept[name] = layout.sweep(txn, name, start, encoding.now())
            return count, swept

        count, swept = self._write(work)
        self._swept |= swept
        return count

    def get(self, kind: str, key: str) -> Answer | None:
        """See `OnlineStore.get`."""
        return self.get_many(kind, (key,)).get(key)

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """See `OnlineStore.get_many`."""
        wanted = [(key, name) for key in keys if (name := encoding.entry_key(key)) is not None]
        with self._reading() as txn:
            record = txn.get(b"k" + (encoding.key_bytes(kind) or b""))
            if record is None:
                return {}
            prefix, info = self._parse(record)
            read = txn.get
            raw = [(k, v) for k, name in wanted if (v := read(prefix + name)) is not None]
        now = encoding.now()
        return {k: a for k, v in raw if (a := encoding.answer(v, info, now)) is not None}

    def get_each(self, wanted: Sequence[tuple[str, str]]) -> list[Answer | None]:
        """See `OnlineStore.get_each`; all of one moment."""
        found: list[tuple[bytes, KindInfo] | None] = []
        with self._reading() as txn:
            for kind, key in wanted:
                name = encoding.entry_key(key)
                record = txn.get(b"k" + (encoding.key_bytes(kind) or b""))
                raw = None
                if record is not None and name is not None:
                    prefix, info = self._parse(record)
                    raw = txn.get(prefix + name)
                found.append(None if raw is None else (raw, info))
        now = encoding.now()
        return [None if one is None else encoding.answer(*one, now) for one in found]

    def kinds(self) -> dict[str, KindInfo]:
        """See `OnlineStore.kinds`."""
        with self._reading() as txn:
            records = layout.scan(txn, b"k")
            found = {key[1:].decode(): self._parse(record)[1] for key, record in records}
        now = encoding.now()
        return {k: info for k, info in found.items() if not encoding.has_expired(info, now)}

    @property
    def is_degraded(self) -> bool:
        """See `OnlineStore.is_degraded`; a store of this process has nothing to fall back from."""
        return False

    def close(self) -> None:
        """See `OnlineStore.close`."""
        with self._writer, self._gate:
            self._env.close()

    def _parse(self, record: bytes) -> tuple[bytes, KindInfo]:
        """A kind's key prefix and info, remembered: parsing costs more than the two look-ups."""
        known = self._parsed.get(record)
        if known is None:
            if len(self._parsed) >= 64:  # old versions; there are fewer kinds than that
                self._parsed.clear()
            generation, info = encoding.read_record(record)
            known = self._parsed[record] = (layout.prefix_of(generation), info)
        return known

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        with self._gate:
            try:
                with self._begin_read() as txn:
                    yield txn
            except lmdb.Error as error:
                raise self._error("read", error) from None

    def _begin_read(self) -> Any:
        while True:
            try:
                return self._env.begin()
            except lmdb.MapResizedError:
                self._env.set_mapsize(0)  # 0: whatever the process that grew it has set

    def _write(self, work: Callable[[Any], T]) -> T:
        """Run `work` in one write transaction, again if the map had to grow."""
        while True:
            grow = False
            try:
                with self._writer, self._env.begin(write=True) as txn:
                    return work(txn)
            except lmdb.MapFullError:
                grow = True
            except lmdb.MapResizedError:
                pass
            except lmdb.DiskError:
                raise DiskFullError(
                    f"{self._path}: no space left on the disk; free some and publish again"
                ) from None
            except lmdb.Error as error:
                raise self._error("written", error) from None
            with self._writer, self._gate:
                self._env.set_mapsize(2 * self._env.info()["map_size"] if grow else 0)

    def _purge(self, name: bytes) -> None:
        with self._reading() as txn:
            states = layout.scan(txn, b"g")
            doomed = [key[1:] for key, state in states if state == layout.DOOMED + name]
        for generation in doomed:
            while self._write(partial(layout.delete_some, generation=generation)):
                pass

    def _error(self, done: str, error: Exception) -> StoreError:
        damaged = isinstance(error, lmdb.InvalidError | lmdb.CorruptedError | lmdb.PanicError)
        remedy = "delete it and run `lakehouse publish`" if damaged else "check who else uses it"
        why = " ".join(str(error).removeprefix(f"{self._path}: ").split()).rstrip(".")
        return StoreError(f"{self._path}: the online store cannot be {done}: {why}; {remedy}")
