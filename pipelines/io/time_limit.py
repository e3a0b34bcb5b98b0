"""Questions that are stopped after a while, so that none holds the machine for ever."""

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator

from pyspark.sql import SparkSession

from pipelines.errors import QueryTimeoutError


@contextlib.contextmanager
def stopped_after(seconds: float, stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` from another thread if the block is still running after that time.

    Raises:
        QueryTimeoutError: it was, and the block failed thereupon.
    """
    late = threading.Event()

    def end() -> None:
        late.set()
        stop()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except Exception:
        if late.is_set():
            raise QueryTimeoutError(
                f"query: stopped after {seconds:g} s; ask for less, or raise query.timeout_s"
            ) from None
        raise
    finally:
        timer.cancel()


@contextlib.contextmanager
def spark_stopped_after(seconds: float, spark: SparkSession) -> Iterator[None]:
    """Interrupt what the block does on Spark after that time.

    Raises:
        QueryTimeoutError: see `stopped_after`.
    """
    tag = f"query-{uuid.uuid4().hex}"
    spark.addTag(tag)
    try:
        with stopped_after(seconds, lambda: spark.interruptTag(tag)):
            yield
    finally:
        spark.removeTag(tag)
