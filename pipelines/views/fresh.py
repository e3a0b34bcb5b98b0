"""Views that follow what is taken in, in the process that takes it in."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

from pyspark.sql import SparkSession

from pipelines.gold.refreshes import REFRESHES
from pipelines.io.failures import said
from pipelines.io.ingest import Note, Progress, ingest_continuously
from pipelines.registry import views_in_order
from pipelines.settings import Settings
from pipelines.views.refresh import Refreshed, refresh

RETRY_S = 10.0  # after a refresh that failed, if nothing changes before


def kept_fresh(asked: Sequence[str]) -> list[str]:
    """The tables that are written where views are kept fresh, as `ingest.refresh` names them.

    Raises:
        RegistryError: an unknown name.
    """
    views = [view.name for view in views_in_order(() if "all" in asked else asked)]
    return [*views, REFRESHES.name] if asked else []


def ingest_and_refresh(
    spark: SparkSession, settings: Settings, progress: Progress, *, resume: bool, note: Note
) -> None:
    """Take in events as they arrive, and keep the views of `ingest.refresh` fresh, until stopped.

    Raises:
        LakehouseError: a stream failed, or cannot start; see `ingest`.
    """
    written = kept_fresh(settings.ingest.refresh)
    views = written[:-1]
    if not views:
        ingest_continuously(spark, settings, progress, resume=resume, note=note)
        return
    with keeping_fresh(
        spark,
        settings,
        views,
        failed=lambda error: note(f"refresh failed and is tried again: {said(error)}"),
    ) as changed:
        ingest_continuously(
            spark, settings, progress, resume=resume, note=note, then=changed, further=written
        )


@contextlib.contextmanager
def keeping_fresh(
    spark: SparkSession,
    settings: Settings,
    names: Sequence[str],
    *,
    progress: Callable[[Refreshed], None] = lambda _: None,
    failed: Callable[[Exception], None] = lambda _: None,
) -> Iterator[Callable[[], None]]:
    """Refresh views in a thread while the block runs: at its start and after each change.

    Changes that come during a refresh are one for the next. A refresh that fails is reported and
    tried again; leaving the block waits for the one at hand.

    Yields:
        What is to be called after each change of what the views read.
    """
    changed, ended = threading.Event(), threading.Event()

    def run() -> None:
        pause_s: float | None = None
        while True:
            changed.wait(pause_s)
            changed.clear()
            if ended.is_set():
                return
            try:
                refresh(spark, settings, names, progress=progress)
                pause_s = None
            except Exception as error:  # what is taken in goes on
                failed(error)
                pause_s = RETRY_S

    thread = threading.Thread(target=run, name="keeping fresh", daemon=True)
    changed.set()
    thread.start()
    try:
        yield changed.set
    finally:
        ended.set()
        changed.set()
        thread.join()
