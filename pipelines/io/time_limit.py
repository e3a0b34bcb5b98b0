"""Questions that are stopped after a while, so that none holds the machine for ever."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator

from pyspark.sql import SparkSession

from pipelines.errors import QueryTimeoutError

_AGAIN_S = 0.5


@contextlib.contextmanager
def stopped_after(seconds: float, stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` from another thread if the block is still running after that time.

    It is called again until the block ends, since what is stopped may only just be beginning.

    Raises:
        QueryTimeoutError: it was, and the block failed thereupon.
    """
    late, done = threading.Event(), threading.Event()

    def watch() -> None:
        wait = seconds
        while not done.wait(wait):
            late.set()
            stop()
            wait = _AGAIN_S

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    except Exception:
        if late.is_set():
            raise QueryTimeoutError(
                f"query: stopped after {seconds:g} s; ask for less, or raise query.timeout_s"
            ) from None
        raise
    finally:
        done.set()
        watcher.join()  # or it might stop what comes next


@contextlib.contextmanager
def spark_stopped_after(seconds: float, spark: SparkSession) -> Iterator[None]:
    """Interrupt what the block does on Spark after that time.

    Raises:
        QueryTimeoutError: see `stopped_after`.
    """
    # The context's tags reach the thread in which toArrow runs its job; the session's do not.
    context, tag = spark.sparkContext, f"query-{uuid.uuid4().hex}"
    context.addJobTag(tag)
    try:
        with stopped_after(seconds, lambda: context.cancelJobsWithTag(tag)):
            yield
    finally:
        context.removeJobTag(tag)
