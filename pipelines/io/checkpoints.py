"""Whether a stream may go on from its checkpoint: it must be whole, and of this very table.

Every batch leaves its number in three places: `offsets/` before it, the table's transactions with
it, `commits/` after it. So a checkpoint fits its table if, and only if, the newest number in the
table lies between the other two. One from another lake or from a backup does not, and Delta would
skip the batches that follow it as repetitions: events would be lost without a word.
"""

import json
from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.erasures import ERASURE
from pipelines.bronze.events import EVENTS
from pipelines.errors import SourceError
from pipelines.io.commits import commit
from pipelines.io.files import applied, names_in, text_of
from pipelines.io.lake import checkpoint_path
from pipelines.io.read import exists, read, version_of
from pipelines.settings import Settings
from pipelines.silver.batches import BATCHES
from pipelines.sources.stream import source_name

SILVER = "silver"
_RESUME = {
    "kafka": "run `lakehouse ingest --resume-from-bronze`, which reads on after the newest events "
    "in bronze",
    "files": "move the files that bronze holds (its column `source` names them) out of the folder "
    "and run `lakehouse ingest --resume-from-bronze`",
    "kinesis": "read the stream into a lake of its own (--root)",
}


def bronze_stream(settings: Settings) -> str:
    """The name of a source's checkpoint: the offsets of one source say nothing about another."""
    return f"bronze-{settings.source.kind}-{source_name(settings)}"


def checkpoint_id(spark: SparkSession, path: str) -> str:
    """Its own id, which names its transactions; empty if its file `metadata` is missing."""
    found = text_of(spark, f"{path}/metadata")
    return str(json.loads(found)["id"]) if found else ""


@dataclass(frozen=True)
class Numbers:
    """Batches of a checkpoint, in order: those begun and those done."""

    begun: list[int]
    done: list[int]

    @property
    def missing(self) -> list[str]:
        """Files that must stand where these stand."""
        if not self.begun:
            return ["offsets/*"] if self.done else []
        last = self.begun[-1]
        holes = set(range(self.begun[0], last)) - set(self.begun)
        found = [f"offsets/{number}" for number in sorted(holes)]
        newest = self.done[-1] if self.done else -1
        if newest > last:
            found.append(f"offsets/{newest}")
        if newest < last - 1:
            found.append(f"commits/{last - 1}")
        return found


def require_bronze_checkpoint(spark: SparkSession, settings: Settings) -> None:
    """Refuse to take in from a source whose checkpoint would lose or repeat events.

    Raises:
        SourceError: the checkpoint is damaged, foreign, or gone while bronze holds its events.
    """
    stream = bronze_stream(settings)
    path, name = checkpoint_path(settings, stream), source_name(settings)
    go_on = f"put it back from a backup, or {_RESUME[settings.source.kind]}"
    numbers = _numbers(spark, path)
    if not numbers.begun and not numbers.done:
        if holds_events_of(spark, settings):
            raise SourceError(
                f"bronze: the checkpoint {path} is gone, and bronze holds events of {name} already;"
                f" read anew they would be there twice; {go_on}"
            )
        return
    _require_sound(spark, settings, "bronze", path, EVENTS.name, numbers, go_on)
    if settings.source.kind == "kafka":
        last = text_of(spark, f"{path}/offsets/{numbers.begun[-1]}").splitlines()[-1]
        topics = sorted(json.loads(last))
        if topics != [name]:
            raise SourceError(
                f"bronze: the checkpoint {path} is of the topic {', '.join(topics)}, not of "
                f"{name}; {go_on}"
            )


def require_silver_checkpoint(spark: SparkSession, settings: Settings) -> None:
    """Refuse to go on from a checkpoint of silver that would lose events.

    Without one silver reads bronze anew and adds only what it lacks.

    Raises:
        SourceError: the checkpoint is damaged or foreign, or rows of bronze were changed since.
    """
    path = checkpoint_path(settings, SILVER)
    numbers = _numbers(spark, path)
    go_on = "delete that folder and run again: silver reads bronze anew and adds what it lacks"
    if numbers.begun or numbers.done:
        _require_sound(spark, settings, SILVER, path, BATCHES.name, numbers, go_on)
    if numbers.begun:
        reached = text_of(spark, f"{path}/offsets/{numbers.begun[-1]}")
        _require_rows_stand(spark, settings, reached, go_on)


def holds_events_of(spark: SparkSession, settings: Settings) -> bool:
    """Whether bronze holds events of the configured source."""
    name, kind = source_name(settings), settings.source.kind
    source = F.col("source")
    is_of_source = {
        "kafka": source == name,
        "kinesis": source.startswith(f"{name}@"),
        "files": source.contains(":/"),  # a URI; no topic and no stream has such a name
    }[kind]
    return not read(spark, settings, EVENTS.name).where(is_of_source).isEmpty()


def _require_sound(
    spark: SparkSession,
    settings: Settings,
    stage: str,
    path: str,
    table: str,
    numbers: Numbers,
    go_on: str,
) -> None:
    found = checkpoint_id(spark, path)
    missing = numbers.missing if found else ["metadata"]
    if missing:
        raise SourceError(
            f"{stage}: the checkpoint {path} is damaged: {', '.join(missing)} is missing; {go_on}"
        )
    is_there = exists(spark, settings, table)
    newest = applied(spark, settings, table, f"{stage}-{found}") if is_there else -1
    done = numbers.done[-1] if numbers.done else -1
    if not done <= newest <= numbers.begun[-1]:
        stands = (
            f"{table} has taken in batch {newest}" if newest >= 0 else f"{table} has none of it"
        )
        raise SourceError(
            f"{stage}: the checkpoint {path} is of another lake or another time: it is at batch "
            f"{numbers.begun[-1]}, {stands}; {go_on}"
        )


def _require_rows_stand(spark: SparkSession, settings: Settings, reached: str, go_on: str) -> None:
    """Refuse to pass over a commit that changed rows of bronze, unless `erase` made it."""
    try:
        offset = json.loads(reached.splitlines()[-1])
        first = offset["reservoirVersion"] + bool(offset["isStartingVersion"])
    except (ValueError, LookupError, TypeError):
        return  # an offset that cannot be read Spark refuses itself
    for version in range(first, version_of(spark, settings, EVENTS.name) + 1):
        found = commit(spark, settings, EVENTS.name, version)
        if found and found.removes and found.info.get("userMetadata") != ERASURE:
            raise SourceError(
                f"silver: version {version} of {EVENTS.name} changed or deleted rows that stood, "
                f"which only `lakehouse erase` may, and silver would not know; {go_on}"
            )


def _numbers(spark: SparkSession, path: str) -> Numbers:
    def numbers(folder: str) -> list[int]:
        return sorted(int(name) for name in names_in(spark, f"{path}/{folder}") if name.isdigit())

    return Numbers(numbers("offsets"), numbers("commits"))
