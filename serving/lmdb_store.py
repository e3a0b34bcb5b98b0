"""The online store in a folder: LMDB, read in microseconds by many processes, written by one."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import lmdb

from pipelines.errors import DiskFullError, StoreError
from serving import lmdb_layout as layout
from serving.online import Answer, JSONValue, KindInfo

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
    ) -> int:
        """See `OnlineStore.publish`."""
        name = layout.key_bytes(kind)
        if not name or published_at.tzinfo is None:
            raise StoreError(
                f"cannot publish {kind!r:.80}: it needs a name of 1 to {layout.MAX_KEY_BYTES} bytes"
                " and a time with a timezone; correct the caller"
            )
        generation = self._write(partial(layout.begin, name=name))
        # A reader that was killed keeps its slot, and with it every page it could see.
        self._env.reader_check()
        self._purge(name)
        count = 0
        for batch in _batches(_encoded(kind, entries)):
            put = partial(layout.put, name=name, generation=generation, batch=batch)
            count += self._write(put)
        info = KindInfo(version, published_at.astimezone(UTC), count)
        self._write(partial(layout.switch, name=name, generation=generation, info=info))
        self._purge(name)
        return count

    def get(self, kind: str, key: str) -> Answer | None:
        """See `OnlineStore.get`."""
        return self.get_many(kind, (key,)).get(key)

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """See `OnlineStore.get_many`."""
        wanted = [(key, name) for key in keys if (name := layout.entry_key(key)) is not None]
        with self._reading() as txn:
            record = txn.get(b"k" + (layout.key_bytes(kind) or b""))
            if record is None:
                return {}
            prefix, info = self._parse(record)
            raw = [(key, txn.get(prefix + name)) for key, name in wanted]
        version, at = info.version, info.published_at
        return {k: Answer(json.loads(v), version, at) for k, v in raw if v is not None}

    def kinds(self) -> dict[str, KindInfo]:
        """See `OnlineStore.kinds`."""
        with self._reading() as txn:
            found = layout.scan(txn, b"k")
            return {key[1:].decode(): self._parse(record)[1] for key, record in found}

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
            generation, version, at, count = json.loads(record)
            info = KindInfo(version, datetime.fromisoformat(at), count)
            known = self._parsed[record] = (b"e" + generation.to_bytes(8, "big"), info)
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


def _encoded(kind: str, entries: Iterable[tuple[str, JSONValue]]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in entries:
        name = layout.entry_key(key)
        if name is None:
            raise StoreError(f"cannot publish {kind}: key {key!r:.80} is not UTF-8; drop it")
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            yield name, text.encode()
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"cannot publish {kind}: the value of {key!r:.80} is not JSON ({error});"
                " correct or drop it"
            ) from None


def _batches(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    batch: list[tuple[bytes, bytes]] = []
    size = 0
    for pair in pairs:
        batch.append(pair)
        size += len(pair[1])
        if len(batch) >= layout.BATCH_ENTRIES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch
