"""The online store: hot answers by key, published as whole versions, read in microseconds.

Layout of the LMDB file, one database, told apart by the first byte of the key. Every publish
writes under a generation of its own, so that a version is switched by rewriting one record:

    f                        format of this layout
    n                        the last generation handed out
    g<generation>            state and kind: writing -> current -> doomed -> gone
    k<kind>                  the kind's current generation, version, time and number of entries
    e<generation><key>       one value, compact JSON
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import lmdb

from pipelines.errors import DiskFullError, StoreError

JSONValue: TypeAlias = (
    "Mapping[str, JSONValue] | Sequence[JSONValue] | str | int | float | bool | None"
)

INITIAL_MAP_BYTES = 64 << 20
BATCH_ENTRIES = 10_000  # a write transaction stays below this many entries ...
BATCH_BYTES = 8 << 20  # ... and about this many bytes, so that it never holds much memory
FORMAT = b"1"
MAX_KEY_BYTES = 511 - 9  # LMDB's limit, less our first byte and the generation
WRITING, CURRENT, DOOMED = b"w", b"c", b"d"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """One value with the version it belongs to; `published_at` is in UTC."""

    value: Any
    version: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What is current of one kind; `published_at` is in UTC."""

    version: str
    published_at: datetime
    entries: int


class OnlineStore(Protocol):
    """Hot answers by kind and key; a kind is replaced as a whole, atomically."""

    def publish(
        self,
        kind: str,
        entries: Iterable[tuple[str, JSONValue]],
        *,
        version: str,
        published_at: datetime,
    ) -> int:
        """Replace all entries of a kind; of a repeated key the last value stays.

        Readers see the old version until the switch and only the new one after it. Publishing
        a version again replaces it, so a repetition after a crash is harmless.

        Returns:
            The number of keys published.

        Raises:
            StoreError: a key or value cannot be stored, or another publish of the same kind
                has begun meanwhile; the old version stays current.
            DiskFullError: no space is left; the old version stays current.
        """

    def get(self, kind: str, key: str) -> Answer | None:
        """The current value of a key, or None."""

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """The current values of those keys that exist, all of one version."""

    def kinds(self) -> dict[str, KindInfo]:
        """Every kind that has been published."""

    def close(self) -> None:
        """Release the store; harmless when repeated."""


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
            found = txn.get(b"f", FORMAT)
        if found != FORMAT:
            self.close()
            raise StoreError(
                f"{path}: online store of format {found.decode(errors='replace')}, this release"
                f" has {FORMAT.decode()}; delete the folder and run `lakehouse publish`"
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
        name = _key_bytes(kind)
        if not name or published_at.tzinfo is None:
            raise StoreError(
                f"cannot publish {kind!r:.80}: it needs a name of 1 to {MAX_KEY_BYTES} bytes and"
                " a time with a timezone; correct the caller"
            )
        generation = self._write(partial(_begin, name=name))
        # A reader that was killed keeps its slot, and with it every page it could see.
        self._env.reader_check()
        self._purge(name)
        count = 0
        for batch in _batches(_encoded(kind, entries)):
            put = partial(_put, name=name, generation=generation, batch=batch)
            count += self._write(put)
        info = KindInfo(version, published_at.astimezone(UTC), count)
        self._write(partial(_switch, name=name, generation=generation, info=info))
        self._purge(name)
        return count

    def get(self, kind: str, key: str) -> Answer | None:
        """See `OnlineStore.get`."""
        return self.get_many(kind, (key,)).get(key)

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """See `OnlineStore.get_many`."""
        wanted = [(key, name) for key in keys if (name := _key_bytes(key)) is not None]
        with self._reading() as txn:
            record = txn.get(b"k" + (_key_bytes(kind) or b""))
            if record is None:
                return {}
            prefix, info = self._parse(record)
            raw = [(key, txn.get(prefix + name)) for key, name in wanted]
        version, at = info.version, info.published_at
        return {k: Answer(json.loads(v), version, at) for k, v in raw if v is not None}

    def kinds(self) -> dict[str, KindInfo]:
        """See `OnlineStore.kinds`."""
        with self._reading() as txn:
            return {key[1:].decode(): self._parse(record)[1] for key, record in _scan(txn, b"k")}

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
            doomed = [key[1:] for key, state in _scan(txn, b"g") if state == DOOMED + name]
        for generation in doomed:
            while self._write(partial(_delete_some, generation=generation)):
                pass

    def _error(self, done: str, error: Exception) -> StoreError:
        damaged = isinstance(error, lmdb.InvalidError | lmdb.CorruptedError | lmdb.PanicError)
        remedy = "delete it and run `lakehouse publish`" if damaged else "check who else uses it"
        why = " ".join(str(error).removeprefix(f"{self._path}: ").split()).rstrip(".")
        return StoreError(f"{self._path}: the online store cannot be {done}: {why}; {remedy}")


def _key_bytes(text: str) -> bytes | None:
    """The key as stored, or None where it cannot be a key."""
    try:
        key = text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return key if len(key) <= MAX_KEY_BYTES else None


def _encoded(kind: str, entries: Iterable[tuple[str, JSONValue]]) -> Iterator[tuple[bytes, bytes]]:
    for key, value in entries:
        name = _key_bytes(key)
        if name is None:
            raise StoreError(
                f"cannot publish {kind}: key {key!r:.40}... is not UTF-8 of at most"
                f" {MAX_KEY_BYTES} bytes; shorten or drop it"
            )
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
        if len(batch) >= BATCH_ENTRIES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _scan(txn: Any, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    cursor = txn.cursor()
    cursor.set_range(prefix)
    for key, value in cursor:
        if not key.startswith(prefix):
            return
        yield key, value


def _begin(txn: Any, name: bytes) -> bytes:
    """A new generation; what an earlier publish of the kind left unfinished is doomed."""
    for key, state in list(_scan(txn, b"g")):
        if state == WRITING + name:
            txn.put(key, DOOMED + name)
    generation = (int.from_bytes(txn.get(b"n", b""), "big") + 1).to_bytes(8, "big")
    for key, value in ((b"f", FORMAT), (b"n", generation), (b"g" + generation, WRITING + name)):
        txn.put(key, value)
    return generation


def _check_ours(txn: Any, name: bytes, generation: bytes) -> None:
    if txn.get(b"g" + generation) != WRITING + name:
        raise StoreError(
            f"another publish of {name.decode()} has begun meanwhile; let it finish, then repeat"
        )


def _put(txn: Any, name: bytes, generation: bytes, batch: list[tuple[bytes, bytes]]) -> int:
    """Write a batch; returns how many of its keys are new to the generation."""
    _check_ours(txn, name, generation)
    new = 0
    for key, value in batch:
        if txn.put(b"e" + generation + key, value, overwrite=False):
            new += 1
        else:
            txn.put(b"e" + generation + key, value)
    return new


def _switch(txn: Any, name: bytes, generation: bytes, info: KindInfo) -> None:
    _check_ours(txn, name, generation)
    for key, state in list(_scan(txn, b"g")):
        if state == CURRENT + name:
            txn.put(key, DOOMED + name)
    txn.put(b"g" + generation, CURRENT + name)
    number = int.from_bytes(generation, "big")
    record = [number, info.version, info.published_at.isoformat(), info.entries]
    txn.put(b"k" + name, json.dumps(record).encode())


def _delete_some(txn: Any, generation: bytes) -> bool:
    """Delete a batch of a doomed generation; False when nothing is left of it."""
    cursor = txn.cursor()
    cursor.set_range(b"e" + generation)
    for _ in range(BATCH_ENTRIES):
        if not cursor.key().startswith(b"e" + generation):
            txn.delete(b"g" + generation)
            return False
        cursor.delete()
    return True
