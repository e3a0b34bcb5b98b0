"""Work beside the streams: done in a thread of this process, again and again."""

import contextlib
import threading
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def beside(
    name: str,
    work: Callable[[threading.Event], None],
    *,
    every_s: float,
    first_s: float,
    failed: Callable[[Exception], None],
) -> Iterator[None]:
    """Do some work while the block runs, first after `first_s`, then after pauses of `every_s`.

    Leaving the block waits for the work at hand, whose event is set by then. Work that fails is
    reported and does not stop the next.
    """
    ended = threading.Event()

    def run() -> None:
        pause_s = first_s
        while not ended.wait(pause_s):
            pause_s = every_s
            try:
                work(ended)
            except Exception as error:  # the streams go on
                failed(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
