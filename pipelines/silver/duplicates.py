"""Which events were sent before: pure functions from events to verdicts."""

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from pipelines.table import ORIGIN

IDENTITY = ("event_id", "table_name", "payload_hash", *ORIGIN)


def with_id_hash(rows: DataFrame) -> DataFrame:
    """Rows with `id_hash`, by which ids are compared first: 8 bytes to move instead of 36.

    A collision only adds a suspect; `verdicts` compares the ids themselves.
    """
    return rows.withColumn("id_hash", F.xxhash64("event_id"))


def standing(events: DataFrame, known: DataFrame) -> DataFrame:
    """Those rows of `known` whose id an event of the batch has too; both with `id_hash`.

    The batch is sent to where the known rows are, whose number only grows. A row is there as often
    as the batch has its id: a semi-join, which would not repeat it, makes Spark send the batch to
    each of the tables that `known` is a union of.
    """
    return known.join(F.broadcast(events.select("id_hash")), "id_hash")


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
