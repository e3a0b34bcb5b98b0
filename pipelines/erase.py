"""Erasing people: from every store of a lake, for good, so that nothing brings them back.

Each step finds by itself what it has to do, and a step that another one goes by comes after it. So
a run that was killed is completed by the same command; until then the person's row in
`bronze.erasures` has no `done_at`. First of all the door is shut: what comes in from then on comes
in as nobody's.
"""

import re
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ml.search_forget import forget_tastes
from pipelines.bronze.events import EVENTS
from pipelines.errors import ConfigError, LakeError
from pipelines.io.answers import forget_answers
from pipelines.io.erase_history import forget_history, purge, require_no_reader
from pipelines.io.erase_rows import PERSONAL, erase_rows
from pipelines.io.erase_state import forget_in_state, remaining
from pipelines.io.erasures import begin, erasure_key, finish
from pipelines.io.ingest import catch_up
from pipelines.io.read import exists, read
from pipelines.registry import VIEWS, views_in_order
from pipelines.scrub import TELLING, scrub_all
from pipelines.settings import Settings
from pipelines.silver.event import TEXT_PATTERN
from pipelines.sources.forgotten import forget_landed, forget_topics
from pipelines.view import View
from pipelines.views.refresh import refresh
from serving import forgetting as online
from serving.keys import revoke_customers
from serving.stores import store_to_write

_PERSONAL_COLUMN = re.compile(r"\b(customer_id|session_id|basket_id|attributes|payload)\b", re.I)
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Erased:
    """What an erasure did.

    Attributes:
        people: how many were asked for.
        found: store -> rows, entries or files that were changed or removed; 0 where nobody stood.
        out_of_reach: what a copy of them may be in that no command of this lake reaches.
    """

    people: int
    found: dict[str, int]
    out_of_reach: list[str]
    seconds: float


def require_people(people: Iterable[str]) -> tuple[str, ...]:
    """The ids, each once.

    Raises:
        ConfigError: there is none, or one is no customer_id; it is not repeated in the message.
    """
    ids = tuple(dict.fromkeys(people))
    if not ids or any(not re.fullmatch(TEXT_PATTERN, who) for who in ids):
        raise ConfigError("name whom to erase: --customer ID, of 1 to 128 characters")
    return ids


def erase(
    spark: SparkSession,
    settings: Settings,
    people: Iterable[str],
    progress: Progress = lambda _: None,
) -> Erased:
    """Erase people from every store of the lake; the caller holds all its locks.

    Raises:
        ConfigError: an id is none.
        LockedError: a reader or the API runs.
        SourceError: bronze lacks events that our own broker holds, or a checkpoint is damaged.
        LakeError: the list of the erased has another key, or the id still stands in a file.
    """
    started, ids = time.monotonic(), require_people(people)
    require_no_reader(settings)
    online.require_closed(settings)
    key = erasure_key(settings, create=True)
    begin(spark, settings, key, ids)
    progress("tables")
    if exists(spark, settings, EVENTS.name):
        catch_up(spark, settings, lambda _stage, _rows: None)
    found = dict(erase_rows(spark, settings, ids))
    progress("views and old versions")
    found["bytes of old versions"] = _forget_versions(spark, settings)
    progress("sources and state")
    found["files that landed"] = forget_landed(settings, ids)
    found["bytes of our own broker"] = forget_topics(settings, _read_up_to(spark, settings))
    found["online store"] = _forget_answers(settings, ids, found)
    found["kept answers"] = forget_answers(settings.state)
    found["API keys"] = revoke_customers(settings.api_keys, ids)
    found["files of the state folder"] = forget_in_state(settings, ids)
    if left := remaining(settings, ids):
        raise LakeError(
            f"the id still stands in {len(left)} files, {', '.join(left[:3])} among them; delete "
            "them or take it out, then erase again"
        )
    finish(spark, settings, key, ids, found)
    seconds = round(time.monotonic() - started, 1)
    return Erased(len(ids), found, _out_of_reach(settings, ids), seconds)


def _forget_versions(spark: SparkSession, settings: Settings) -> int:
    """Views follow, then nothing older than what is shown now is left of what named someone.

    Returns the bytes that are gone.

    The views are refreshed by the change feeds, and at the end once more to show the commits of
    `purge`, after which the feeds go. Those that may name a person are written anew instead: of a
    row that went, their files may hold the bytes, marked as deleted, and REORG commits nothing
    where no row would be left of a file.
    """
    there = [view for view in VIEWS if exists(spark, settings, view.name)]
    views = _personal(there)
    personal = [*(table.name for table in PERSONAL), *views]
    if others := [view.name for view in there if view.name not in views]:
        refresh(spark, settings, others, views=there)
    if views:
        refresh(spark, settings, views, views=there, full=True)
    purge(spark, settings, personal)
    refresh(spark, settings, views=there)
    return forget_history(spark, settings, personal)


def _personal(views: Iterable[View]) -> list[str]:
    """The views that are made of what may name a person, straight or by another view."""
    found: list[str] = []
    for view in views_in_order(views=tuple(views)):
        if _PERSONAL_COLUMN.search(view.sql) or set(view.inputs) & set(found):
            found.append(view.name)
    return found


def _read_up_to(spark: SparkSession, settings: Settings) -> dict[str, int]:
    """By partition of the source's topic, the offset after the newest that bronze holds."""
    rows = read(spark, settings, EVENTS.name).where(F.col("source") == settings.source.kafka.topic)
    newest = rows.groupBy("source_partition").agg(F.max("source_offset").alias("offset")).collect()
    return {str(row["source_partition"]): row["offset"] + 1 for row in newest}


def _forget_answers(settings: Settings, ids: tuple[str, ...], found: dict[str, int]) -> int:
    found["search index"] = 0
    if online.folders(settings) or settings.online.kind == "redis":
        with closing(store_to_write(settings)) as store:
            found["search index"] = forget_tastes(settings, store, ids)
    return online.forget(settings, ids, lambda text: scrub_all(text, ids) != text)


def _out_of_reach(settings: Settings, ids: tuple[str, ...]) -> list[str]:
    """Where a copy may be that no command of this lake reaches."""
    source = settings.source
    found = ["backups, snapshots and older versions of the disk or bucket that the lake stands on"]
    if source.kind == "kafka" and source.kafka.bootstrap_servers:
        found.append(f"the topics of {source.kafka.topic} at {source.kafka.bootstrap_servers}")
    if source.kind == "kinesis":
        found.append(f"Kinesis stream {source.kinesis.stream}")
    if "://" in source.files.path or "://" in settings.root:
        found.append(f"files that landed in {settings.in_lake(source.files.path)}")
    if (settings.state / "reactions" / "outbox.db").exists():
        found.append("what webhooks were told, and the topics of reactions of a broker elsewhere")
    if settings.model.tracking_uri:
        found.append("the MLflow server that model.tracking_uri names")
    if settings.online.kind == "redis":
        found.append("the dumps and logs that Redis keeps on its own disk")
    if any(len(who) < TELLING for who in ids):
        found.append(
            f"texts: an id of fewer than {TELLING} characters was looked for in fields "
            "`customer_id` alone"
        )
    return found
