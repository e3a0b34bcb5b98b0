"""How often each key has asked: one number a key, in memory that worker processes share."""

import fcntl
import mmap
import os
import tempfile
import time
from pathlib import Path

from serving.keys import MAX_KEYS, Key

_BYTES = 8


class Rates:
    """Rate limits by the generic cell rate algorithm (ITU-T I.371): exact, one number a key.

    The number is when the next request would be due if all so far had come at the even rate.
    Processes forked after this was made share it; one that dies lets go of its lock.
    """

    def __init__(self) -> None:
        self._file, path = tempfile.mkstemp()
        Path(path).unlink()
        os.truncate(self._file, MAX_KEYS * _BYTES)
        self._due = memoryview(mmap.mmap(self._file, 0)).cast("d")

    def seconds_to_wait(self, key: Key) -> float:
        """Count one request of a key; 0, or in how many seconds it may come again."""
        step = 1 / key.rate
        at = key.cell * _BYTES
        fcntl.lockf(self._file, fcntl.LOCK_EX, _BYTES, at)
        try:
            now = time.monotonic()
            due = max(self._due[key.cell], now)
            wait = due - now - (key.burst - 1) * step
            if wait > 1e-9:  # rounding
                return wait
            self._due[key.cell] = due + step
            return 0.0
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, _BYTES, at)
