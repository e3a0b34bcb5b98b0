"""An older version of a table as its newest, with streams and views that stay right.

Delta's RESTORE alone does not do: it keeps the numbers of the batches that the table took in, so a
stream that reads them again would have them skipped as repetitions. What a restored table lacks is
read again under a new checkpoint, whose batches have names of their own.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from delta.tables import DeltaTable
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from pipelines.bronze.events import EVENTS
from pipelines.errors import LakeError
from pipelines.io.checkpoints import SILVER, bronze_stream
from pipelines.io.files import move, names_in
from pipelines.io.lake import checkpoint_path, table_path
from pipelines.io.read import exists, read_stored, version_of
from pipelines.registry import SILVER_EVENTS, VIEWS
from pipelines.settings import Settings

_RESTORABLE = (EVENTS.name, *(t.name for t in SILVER_EVENTS), *(view.name for view in VIEWS))


@dataclass(frozen=True)
class Restored:
    """What was done.

    Attributes:
        version: of the commit that shows the old rows again.
        checkpoints: put aside, in `_checkpoints/replaced`.
        then: what to run next, so that what came after the old version is there again.
    """

    table: str
    shows: int
    version: int
    checkpoints: tuple[str, ...]
    then: str


def require_restorable(name: str) -> None:
    """Refuse what only a backup of the whole lake puts back.

    Raises:
        LakeError: it is no table of that kind.
    """
    if name not in _RESTORABLE:
        raise LakeError(
            f"{name!r:.80} cannot be restored alone; these can: {', '.join(sorted(_RESTORABLE))}; "
            "else put the whole lake back from a backup (docs/backup.md)"
        )


def restore(spark: SparkSession, settings: Settings, name: str, version: int) -> Restored:
    """Show a version again, and put the checkpoints aside that have read past it.

    The checkpoints go first: a run that ends between the two has only more to read again.

    Raises:
        LakeError: there is no such version, its files are gone, or the table is none of these.
    """
    require_restorable(name)
    if not exists(spark, settings, name):
        raise LakeError(f"{name} does not exist yet; there is nothing to restore")
    newest = version_of(spark, settings, name)
    if not 0 <= version < newest:
        raise LakeError(f"{name} has no version {version} before its newest, {newest}; name one")
    try:
        rows = read_stored(spark, settings, name, version=version)
        rows.write.format("noop").mode("overwrite").save()
    except PySparkException:
        raise LakeError(
            f"{name}: version {version} is no longer there, maintain.retention_hours says how long "
            "one is kept; name a later one"
        ) from None
    aside = tuple(_put_aside(spark, settings, stream) for stream in _streams(settings, name))
    DeltaTable.forPath(spark, table_path(settings, name)).restoreToVersion(version)
    then = {
        "bronze": "lakehouse ingest --resume-from-bronze",
        "silver": "lakehouse ingest",
        "gold": f"lakehouse refresh {name}",
    }[name.split(".")[0]]
    at = version_of(spark, settings, name)
    return Restored(name, version, at, tuple(one for one in aside if one), then)


def _streams(settings: Settings, name: str) -> tuple[str, ...]:
    """The checkpoints whose batches a restored table may lack."""
    if name == EVENTS.name:
        return (SILVER, bronze_stream(settings))
    return (SILVER,) if name.startswith("silver.") else ()


def _put_aside(spark: SparkSession, settings: Settings, stream: str) -> str:
    path = checkpoint_path(settings, stream)
    if not names_in(spark, path):
        return ""
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    aside = checkpoint_path(settings, f"replaced/{stream}-{at}")
    move(spark, path, aside)
    return aside
