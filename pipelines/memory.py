"""How much memory this process and all that it started hold together."""

import threading
from types import TracebackType

import psutil


class PeakMemory:
    """Samples the resident memory of the process tree while its block runs.

    Attributes:
        peak_mb: the highest sum seen, in MiB; memory shared between processes counts each time.
    """

    def __init__(self, every_s: float = 0.5) -> None:
        self.peak_mb = 0
        self._every_s = every_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in (me, *me.children(recursive=True)):
                try:
                    total += process.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            self.peak_mb = max(self.peak_mb, total >> 20)
            if self._done.wait(self._every_s):
                return
