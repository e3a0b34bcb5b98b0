"""The records of the embedded online store, and the steps of a publish, each one transaction.

One database, whose records are told apart by the first byte of the key. Every publish writes
under a generation of its own, so that a version is switched by rewriting one record:

    f                        format of this layout
    n                        the last generation handed out
    g<generation>            state and kind: writing -> current -> doomed -> gone
    k<kind>                  the kind's current generation, version, time and number of entries
    e<generation><key>       one value, compact JSON; the key is a hash if it is too long for LMDB
"""

import json
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

from pipelines.errors import StoreError
from serving.online import KindInfo

FORMAT = b"1"
MAX_KEY_BYTES = 511 - 9  # LMDB's limit, less our first byte and the generation
_HASHED = b"\xff"  # no UTF-8 begins with it
BATCH_ENTRIES = 10_000  # a write transaction stays below this many entries
WRITING, CURRENT, DOOMED = b"w", b"c", b"d"


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


def scan(txn: Any, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    cursor = txn.cursor()
    cursor.set_range(prefix)
    for key, value in cursor:
        if not key.startswith(prefix):
            return
        yield key, value


def begin(txn: Any, name: bytes) -> bytes:
    """A new generation; what an earlier publish of the kind left unfinished is doomed."""
    for key, state in list(scan(txn, b"g")):
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


def put(txn: Any, name: bytes, generation: bytes, batch: list[tuple[bytes, bytes]]) -> int:
    """Write a batch; returns how many of its keys are new to the generation."""
    _check_ours(txn, name, generation)
    new = 0
    for key, value in batch:
        if txn.put(b"e" + generation + key, value, overwrite=False):
            new += 1
        else:
            txn.put(b"e" + generation + key, value)
    return new


def switch(txn: Any, name: bytes, generation: bytes, info: KindInfo) -> None:
    _check_ours(txn, name, generation)
    for key, state in list(scan(txn, b"g")):
        if state == CURRENT + name:
            txn.put(key, DOOMED + name)
    txn.put(b"g" + generation, CURRENT + name)
    number = int.from_bytes(generation, "big")
    record = [number, info.version, info.published_at.isoformat(), info.entries]
    txn.put(b"k" + name, json.dumps(record).encode())


def delete_some(txn: Any, generation: bytes) -> bool:
    """Delete a batch of a doomed generation; False when nothing is left of it."""
    cursor = txn.cursor()
    cursor.set_range(b"e" + generation)
    for _ in range(BATCH_ENTRIES):
        if not cursor.key().startswith(b"e" + generation):
            txn.delete(b"g" + generation)
            return False
        cursor.delete()
    return True
