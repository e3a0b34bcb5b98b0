"""The records of the embedded online store, and the steps of a publish, each one transaction.

One database, whose records are told apart by the first byte of the key. Every publish writes
under a generation of its own, so that a version is switched by rewriting one record:

    f                        format of this layout
    n                        the last generation handed out
    g<generation>            state and kind: writing -> current -> doomed -> gone
    k<kind>                  the kind's current generation, version, times and number of entries
    e<generation><key>       one value, see `encoding`; the key is a hash if it is too long for LMDB
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pipelines.errors import StoreError
from serving import encoding
from serving.online import KindInfo

FORMAT = b"1"
BATCH_ENTRIES = 10_000  # a write transaction stays below this many entries
SWEEP_ENTRIES = 100  # looked at in every update for what has outlived its time to live
WRITING, CURRENT, DOOMED = b"w", b"c", b"d"


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
    txn.put(b"k" + name, encoding.record(number, info))


def update(txn: Any, name: bytes, first: KindInfo, pairs: Iterable[tuple[bytes, bytes]]) -> int:
    """Change entries of the current generation, or of one that begins as `first` says."""
    if txn.get(b"k" + name) is None:
        switch(txn, name, begin(txn, name), first)
    prefix = prefix_of(encoding.read_record(txn.get(b"k" + name))[0])
    changed = 0
    for key, value in pairs:
        if not encoding.is_newer(txn.get(prefix + key), value):
            txn.put(prefix + key, value)
            changed += 1
    return changed


def prefix_of(generation: int) -> bytes:
    return b"e" + generation.to_bytes(8, "big")


def sweep(txn: Any, name: bytes, start: bytes, now: int) -> bytes:
    """Delete what is over of some entries from a key on; returns where to go on."""
    prefix = prefix_of(encoding.read_record(txn.get(b"k" + name))[0])
    cursor = txn.cursor()
    cursor.set_range(max(prefix, start))
    for _ in range(SWEEP_ENTRIES):
        if not cursor.key().startswith(prefix):
            return b""
        if encoding.is_over(cursor.value(), now):
            cursor.delete()
        elif not cursor.next():
            return b""
    return bytes(cursor.key())


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
