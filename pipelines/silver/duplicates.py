"""Which events were sent before: pure functions from events to verdicts."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipelines.table import ORIGIN

IDENTITY = ("event_id", "table_name", "payload_hash", *ORIGIN)


def suspects(events: DataFrame, known: DataFrame) -> DataFrame:
    """Hashes of event ids that occur more than once in `events` and `known` together.

    Hashes make the one wide shuffle narrow (8 instead of 36 bytes a row); a collision only adds
    a suspect, and `verdicts` compares the ids themselves.
    """
    ids = events.select("event_id").unionByName(known.select("event_id"))
    hashed = ids.select(F.xxhash64("event_id").alias("id_hash"))
    return hashed.groupBy("id_hash").count().where("count > 1").select("id_hash")


def suspected(rows: DataFrame, id_hashes: DataFrame) -> DataFrame:
    """The identities of those `rows` whose event id is under suspicion."""
    identities = rows.select(*IDENTITY, F.xxhash64("event_id").alias("id_hash"))
    return identities.join(F.broadcast(id_hashes), "id_hash", "left_semi").drop("id_hash")


def verdicts(events: DataFrame, known: DataFrame) -> DataFrame:
    """The events that must not be added, each `duplicate` or `conflict`.

    Args:
        events: new events, with the columns of `IDENTITY`.
        known: rows that stand already, with the same columns.

    Returns:
        event_id, table_name, the origin, and `verdict`: `duplicate` for an id seen before with
        the same payload, `conflict` for one with another payload, `seen` if the event is itself
        among `known`. The first by origin stands.
    """
    both = known.select(*IDENTITY, F.lit(0).alias("is_new")).unionByName(
        events.select(*IDENTITY, F.lit(1).alias("is_new"))
    )
    by_id = Window.partitionBy("event_id").orderBy("is_new", *ORIGIN)
    by_row = Window.partitionBy("event_id", "table_name", *ORIGIN)
    same = F.col("payload_hash") == F.first("payload_hash").over(by_id)
    seen = F.min("is_new").over(by_row) == 0
    verdict = F.when(seen, "seen").when(same, "duplicate").otherwise("conflict")
    return (
        both.withColumn("place", F.row_number().over(by_id))
        .withColumn("verdict", verdict)
        .where("place > 1 AND is_new = 1")
        .select("event_id", "table_name", *ORIGIN, "verdict")
    )


def with_is_latest(
    rows: DataFrame, keys: tuple[str, ...], sequence_by: tuple[str, ...]
) -> DataFrame:
    """`rows` with `is_latest`: whether a row is the newest of its key."""
    newest_first = Window.partitionBy(*keys).orderBy(
        *(F.col(column).desc() for column in (*sequence_by, *ORIGIN))
    )
    return rows.withColumn("is_latest", F.row_number().over(newest_first) == 1)
