"""The folder of documents into silver.documents, exactly once.

The table itself says what was taken in: a pass takes the files of which no row tells the present
state. So there is no checkpoint that could be lost, a repeated pass writes the same rows again by
their key, and a pass that died is continued by the next one.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.beside import beside
from pipelines.io.files import qualified
from pipelines.io.read import read
from pipelines.io.stream_report import StreamReport, reporting
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.documents import (
    DOCUMENTS,
    DOCUMENTS_QUARANTINE,
    documents,
    not_yet,
    placed,
    removed_from,
)
from pipelines.sources.documents import contents, listing, open_folder


def ingest_documents(
    spark: SparkSession, settings: Settings, progress: Callable[[str, int], None]
) -> int:
    """Take in the documents that are new or have changed, and mark those that are gone.

    Returns:
        How many have bytes that the table did not hold yet; 0 if there is no folder.
    """
    files = open_folder(spark, settings.in_lake(settings.documents.path))
    if files is None:
        return 0
    with reporting(settings.state, "documents") as report:
        return _pass(spark, settings, files, report, progress)


@contextlib.contextmanager
def ingesting_documents(
    spark: SparkSession, settings: Settings, *, failed: Callable[[Exception], None]
) -> Iterator[None]:
    """Take in documents in a thread of this process, again and again, while the block runs.

    A pass that fails is reported and does not stop the next. Leaving the block waits for the
    batch at hand.
    """
    reports: list[StreamReport] = []

    def work(ended: threading.Event) -> None:
        files = open_folder(spark, settings.in_lake(settings.documents.path))
        if files is None:
            return
        if not reports:
            reports.append(StreamReport(settings.state, "documents"))
        reports[0].open()
        _pass(spark, settings, files, reports[0], lambda stage, count: None, ended)

    every_s = settings.documents.every_s
    try:
        with beside("documents", work, every_s=every_s, first_s=0, failed=failed):
            yield
    finally:
        for report in reports:
            report.close()


def _pass(
    spark: SparkSession,
    settings: Settings,
    files: DataFrame,
    report: StreamReport,
    progress: Callable[[str, int], None],
    ended: threading.Event | None = None,
) -> int:
    """Compare the folder with the table, once; it stops between two batches when it is `ended`."""
    folder = settings.in_lake(settings.documents.path)
    found = placed(listing(files, folder)).localCheckpoint()
    _refuse(settings, found.where(F.size("reasons") > 0))
    standing = read(spark, settings, DOCUMENTS.name).where("removed_at IS NULL")
    _mark_removed(settings, found, standing)
    settled = standing.where(F.coalesce("text_reason", F.lit("")) != "not_read")
    new = not_yet(found.where(F.size("reasons") == 0), settled).sort("reference").localCheckpoint()
    uris = [row["uri"] for row in new.select("uri").collect()]
    count, size = 0, settings.documents.max_files_per_batch
    for start in range(0, len(uris), size):
        if ended and ended.is_set():
            break
        started = time.monotonic()
        batch = uris[start : start + size]
        count += _take_in(settings, new.where(F.col("uri").isin(batch)), files, batch)
        done = start + len(batch)
        report.batch(len(batch), time.monotonic() - started, len(uris) - done, "files")
        progress("documents", done)
    return count


def _mark_removed(settings: Settings, found: DataFrame, standing: DataFrame) -> None:
    """Give the time to rows of files that were in this folder and are no more.

    What another folder holds, one that `documents.path` named before, is left as it is.
    """
    below = f"{qualified(found.sparkSession, settings.in_lake(settings.documents.path))}/"
    now = F.lit(datetime.now(UTC))
    removed = removed_from(standing.where(F.startswith("reference", F.lit(below))), found, now)
    removed = removed.localCheckpoint()
    if not removed.isEmpty():
        write(removed, settings, DOCUMENTS)


def _take_in(settings: Settings, new: DataFrame, files: DataFrame, uris: list[str]) -> int:
    """Read and write one batch of documents; returns how many have new bytes."""
    spark = new.sparkSession
    now = datetime.now(UTC)
    limits = settings.documents
    standing = read(spark, settings, DOCUMENTS.name)
    seen = contents(files, uris, limits).localCheckpoint()
    rows = documents(new, seen, standing, limits.max_bytes, F.lit(now))
    # What could not be read is tried again each time; that it still cannot changes nothing.
    known = ["reference", "size_bytes", "modified_at", "text_reason"]
    shown = standing.where("removed_at IS NULL").select(*known)
    changed = rows.join(shown, known, "left_anti").localCheckpoint()
    if not changed.isEmpty():
        write(changed, settings, DOCUMENTS)
    return changed.where(F.col("ingested_at") == F.lit(now)).count()


def _refuse(settings: Settings, misplaced: DataFrame) -> None:
    standing = read(misplaced.sparkSession, settings, DOCUMENTS_QUARANTINE.name)
    now = F.lit(datetime.now(UTC)).alias("ingested_at")
    columns = [name for name in DOCUMENTS_QUARANTINE.columns if name != "ingested_at"]
    refused = not_yet(misplaced, standing).select(*columns, now)
    if not refused.isEmpty():
        write(refused, settings, DOCUMENTS_QUARANTINE)
