"""How an online store keeps keys and values, whichever it is.

A value that was published is its compact JSON. One that was changed since carries its own time:

    0x00 | when it changed | until when it holds, 0: for good | compact JSON, or nothing: deleted

Both times are microseconds since 1970 in UTC, 8 bytes, big-endian, so that bytes compare as times.
"""

import json
import struct
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import msgspec

from pipelines.errors import StoreError
from serving.online import Answer, Change, JSONValue, KindInfo
from serving.times import instant, microseconds

MAX_KEY_BYTES = 511 - 9  # LMDB's limit, less the byte and the generation of `lmdb_layout`
_HASHED = b"\xff"  # no UTF-8 begins with it
_CHANGED = b"\x00"  # no JSON begins with it
_HEAD = struct.Struct(">cQQ")
_decode = msgspec.json.Decoder().decode  # thrice as fast as json.loads
# Longer than any change waits in a topic: until then an older change cannot bring a key back.
DELETED_FOR = timedelta(days=1)

Pair = tuple[bytes, bytes]


def key_bytes(text: str) -> bytes | None:
    """The name of a kind as stored, or None where it cannot be one."""
    key = entry_key(text)
    return None if key is None or key.startswith(_HASHED) else key


def entry_key(text: str) -> bytes | None:
    """The key of an entry as stored: a hash if it is too long, None if it is not UTF-8."""
    try:
        key = text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return key if len(key) <= MAX_KEY_BYTES else _HASHED + blake2b(key).digest()


def checked(kind: str, at: datetime) -> bytes:
    """The stored name of a kind that is to be written at a time."""
    name = key_bytes(kind)
    if not name or at.tzinfo is None:
        raise StoreError(
            f"cannot publish {kind!r:.80}: it needs a name of 1 to {MAX_KEY_BYTES} bytes"
            " and a time with a timezone; correct the caller"
        )
    return name


def published(kind: str, entries: Iterable[tuple[str, JSONValue]]) -> Iterator[Pair]:
    """Keys and values of a publish as they are stored."""
    for key, value in entries:
        yield _key(kind, key), _json(kind, key, value)


def changed(changes: Iterable[Change]) -> dict[bytes, tuple[KindInfo, list[Pair]]]:
    """Changes as they are stored, by kind, each with what an unpublished kind begins as.

    Of a key that changes more than once the newest value stays.
    """
    first: dict[bytes, KindInfo] = {}
    newest: dict[bytes, dict[bytes, bytes]] = {}
    for change in changes:
        name = checked(change.kind, change.at)
        first.setdefault(name, new_info("live", change.at, 0))
        key, value = _changed(change)
        values = newest.setdefault(name, {})
        if not is_newer(values.get(key), value):
            values[key] = value
    return {name: (first[name], list(values.items())) for name, values in newest.items()}


def _changed(change: Change) -> Pair:
    holds = DELETED_FOR if change.value is None else change.ttl
    until = 0 if holds is None else microseconds(change.at + holds)
    text = b"" if change.value is None else _json(change.kind, change.key, change.value)
    head = _HEAD.pack(_CHANGED, microseconds(change.at), until)
    return _key(change.kind, change.key), head + text


def is_newer(stored: bytes | None, change: bytes) -> bool:
    """What is stored was changed later than `change` says."""
    return stored is not None and stored[:1] == _CHANGED and stored[1:9] > change[1:9]


def is_over(stored: bytes, now: int) -> bool:
    """A changed value outlived its time to live; `now` in microseconds."""
    if stored[:1] != _CHANGED:
        return False
    until = _HEAD.unpack_from(stored)[2]
    return bool(until and until <= now)


def answer(stored: bytes | None, info: KindInfo, now: int) -> Answer | None:
    """What a stored value says at a time, in microseconds."""
    if stored is None:
        return None
    if stored[:1] != _CHANGED:
        return None if has_expired(info, now) else _answer(stored, info, info.published_at)
    text = stored[_HEAD.size :]
    if not text or is_over(stored, now):
        return None
    changed_at = instant(_HEAD.unpack_from(stored)[1])
    return _answer(text, info, changed_at)


def has_expired(info: KindInfo, now: int) -> bool:
    return info.expires_at is not None and microseconds(info.expires_at) <= now


def new_info(version: str, at: datetime, entries: int, ttl: timedelta | None = None) -> KindInfo:
    at = at.astimezone(UTC)
    return KindInfo(version, at, entries, None if ttl is None else at + ttl)


def record(generation: int, info: KindInfo) -> bytes:
    """The record that says what is current of a kind."""
    until = info.expires_at and info.expires_at.isoformat()
    at = info.published_at.isoformat()
    return json.dumps([generation, info.version, at, info.entries, until]).encode()


def read_record(stored: bytes) -> tuple[int, KindInfo]:
    generation, version, at, entries, *further = json.loads(stored)
    until = next((datetime.fromisoformat(text) for text in further if text), None)
    return generation, KindInfo(version, datetime.fromisoformat(at), entries, until)


def now() -> int:
    """In microseconds since 1970."""
    return time.time_ns() // 1000


def batches(pairs: Iterable[Pair], entries: int, size: int) -> Iterator[list[Pair]]:
    """The pairs in lists of so many entries or bytes at most; the last one may be empty."""
    batch: list[Pair] = []
    held = 0
    for pair in pairs:
        batch.append(pair)
        held += len(pair[1])
        if len(batch) >= entries or held >= size:
            yield batch
            batch, held = [], 0
    yield batch


def _answer(text: bytes, info: KindInfo, at: datetime) -> Answer:
    return Answer(_decode(text), info.version, at)


def _key(kind: str, key: str) -> bytes:
    name = entry_key(key)
    if name is None:
        raise StoreError(f"cannot publish {kind}: key {key!r:.80} is not UTF-8; drop it")
    return name


def _json(kind: str, key: str, value: JSONValue) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"cannot publish {kind}: the value of {key!r:.80} is not JSON ({error});"
            " correct or drop it"
        ) from None
