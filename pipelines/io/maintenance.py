"""Keep tables compact while they are written to: the only module that rewrites rows unchanged.

Each step is done only where it is called for and leaves every row as it is, so that a stream or a
reader beside it sees no difference. No step breaks a table if the process is killed in it.
"""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from pyspark.sql import SparkSession

from pipelines.errors import ConflictError, RegistryError
from pipelines.io.beside import beside
from pipelines.io.conflicts import retrying
from pipelines.io.files import TableFiles, bytes_on_storage, clean_log, table_files
from pipelines.io.lake import table_path
from pipelines.io.layout import layout_session
from pipelines.io.needs import Need, holding, needs
from pipelines.io.read import exists
from pipelines.registry import NAMES, TABLES, VIEWS
from pipelines.settings import Settings

_DAY_S = 24 * 3600
_CLUSTERING = {table.name: len(table.cluster_by) for table in TABLES}
_CLUSTERING |= {view.name: len(view.cluster_by) for view in VIEWS}


@dataclass(frozen=True)
class Maintained:
    """What was done to one table.

    Attributes:
        done: of `compacted`, `clustered`, `purged`, `vacuumed` and `log cleaned`.
        gave_up: what other writers spoiled at every attempt, and is left to the next run.
        held_by: who still needs what VACUUM and log clean-up would delete; they were left out.
        freed_bytes: by how much VACUUM shrank the table's folder, less what was added meanwhile.
        conflicts: how often another writer's commit spoiled a rewrite.
    """

    table: str
    done: tuple[str, ...]
    gave_up: tuple[str, ...]
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    freed_bytes: int
    conflicts: int
    held_by: tuple[str, ...]
    seconds: float


def maintain(
    spark: SparkSession,
    settings: Settings,
    names: Iterable[str] = (),
    *,
    clean: bool = True,
    progress: Callable[[Maintained], None] = lambda _: None,
) -> list[Maintained]:
    """Bring the named tables and views, or all, into shape; those not yet made are passed over.

    It may run in a thread beside the streams of the same process. From another process it must
    hold the tables' locks if the lake is on a local disk.

    Args:
        clean: also delete what has outlived retention: VACUUM and log clean-up.

    Raises:
        RegistryError: no table has that name.
    """
    wanted = tables_named(names)
    known = needs(spark, settings) if clean else []
    done = []
    for name in wanted:
        if exists(spark, settings, name):
            result = _maintain_one(spark, settings, name, known, clean)
            progress(result)
            done.append(result)
    return done


def tables_named(names: Iterable[str]) -> list[str]:
    """Full names of the named tables and views; all if none is named.

    Raises:
        RegistryError: no table has that name.
    """
    wanted = list(names) or list(NAMES)
    for name in wanted:
        if name not in NAMES:
            raise RegistryError(f"no table named {name}; there are {', '.join(sorted(NAMES))}")
    return wanted


@contextlib.contextmanager
def maintaining(
    spark: SparkSession,
    settings: Settings,
    names: Iterable[str] = (),
    *,
    progress: Callable[[Maintained], None] = lambda _: None,
    failed: Callable[[Exception], None] = lambda _: None,
) -> Iterator[None]:
    """Maintain tables in a thread of this process, again and again, while the block runs.

    A run that fails is reported and does not stop the next; what a run deletes it deletes once a
    day. Leaving the block waits for the table at hand.
    """
    names, cleaned_at = tables_named(names), -math.inf

    def work(ended: threading.Event) -> None:
        nonlocal cleaned_at
        clean = time.monotonic() - cleaned_at > _DAY_S
        for name in names:
            if not ended.is_set():
                maintain(spark, settings, [name], clean=clean, progress=progress)
        cleaned_at = time.monotonic() if clean else cleaned_at

    every_s = settings.maintain.every_s
    with beside("maintain", work, every_s=every_s, first_s=every_s, failed=failed):
        yield


def _maintain_one(
    spark: SparkSession, settings: Settings, name: str, known: Iterable[Need], clean: bool
) -> Maintained:
    started = time.monotonic()
    before = table_files(spark, settings, name)
    session = layout_session(spark, settings, _CLUSTERING[name])
    attempts = settings.maintain.attempts
    conflicts = {
        step: _spoiled(partial(_run, session, sql), attempts, name)
        for step, sql in _called_for(settings, name, before).items()
    }
    after = table_files(spark, settings, name)
    held_by = holding(spark, settings, name, after, known) if clean else []
    is_cleaned = clean and not held_by
    freed = _clean(session, settings, name) if is_cleaned else 0
    done = [step for step, spoiled in conflicts.items() if spoiled < attempts]
    return Maintained(
        table=name,
        done=(*done, *(("vacuumed", "log cleaned") if is_cleaned else ())),
        gave_up=tuple(step for step in conflicts if step not in done),
        files_before=before.files,
        files_after=after.files,
        bytes_before=before.bytes,
        bytes_after=after.bytes,
        freed_bytes=freed,
        conflicts=sum(conflicts.values()),
        held_by=tuple(held_by),
        seconds=round(time.monotonic() - started, 1),
    )


def _called_for(settings: Settings, name: str, files: TableFiles) -> dict[str, str]:
    """The rewrites that a table is due for: what each does -> its SQL."""
    target = f"delta.`{table_path(settings, name)}`"
    due = {}
    if files.loose > settings.maintain.max_small_files:
        due["clustered" if files.is_clustered else "compacted"] = f"OPTIMIZE {target}"
    if files.deleted_share > settings.maintain.max_deleted_share:
        due["purged"] = f"REORG TABLE {target} APPLY (PURGE)"
    return due


def _spoiled(rewrite: Callable[[], None], attempts: int, name: str) -> int:
    """How often a rewrite was spoiled: `attempts` times if it is left to the next run."""
    try:
        return retrying(rewrite, attempts, name)
    except ConflictError:
        return attempts


def _run(session: SparkSession, sql: str) -> None:
    session.sql(sql).collect()


def _clean(spark: SparkSession, settings: Settings, name: str) -> int:
    """Delete what has outlived retention; returns the bytes that VACUUM freed."""
    before = bytes_on_storage(spark, settings, name)
    target = f"delta.`{table_path(settings, name)}`"
    hours = settings.maintain.retention_hours
    spark.sql(f"VACUUM {target} RETAIN {hours} HOURS").collect()
    freed = before - bytes_on_storage(spark, settings, name)
    clean_log(spark, settings, name)
    return max(0, freed)
