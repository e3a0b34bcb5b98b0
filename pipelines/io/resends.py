"""Which events of a batch were sent before, looked up in the batch and in the standing tables."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import reduce

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.batch_keys import VALID, keys_of, repeated_ids
from pipelines.io.outcomes import TAKING, Outcomes, suspected, with_verdicts
from pipelines.io.read import read
from pipelines.registry import SILVER_EVENTS
from pipelines.settings import Settings
from pipelines.silver.duplicates import IDENTITY, standing, verdicts, with_id_hash
from pipelines.table import Table, Upsert

Times = Mapping[Table, tuple[datetime, datetime]]  # earliest and latest event time


def with_resends(batch: Outcomes, settings: Settings, times: Times) -> Outcomes | None:
    """The batch with what was sent before told apart; None if nothing was.

    Args:
        times: the tables that the valid events of the batch belong to.
    """
    if not times:
        return None
    new = batch.plain.unionByName(batch.special.where(F.col("outcome") == VALID))
    stand = standing(with_id_hash(new), _known(new.sparkSession, settings, times)).localCheckpoint()
    keys = pd.concat([batch.keys, keys_of(batch.special, TAKING)])
    suspects = repeated_ids(keys) | {row["id_hash"] for row in stand.select("id_hash").collect()}
    if not suspects:
        return None
    batch = suspected(batch, suspects)
    few = batch.special.where(F.col("outcome") == VALID)
    return with_verdicts(batch, verdicts(few.coalesce(1), stand.coalesce(1)))


def _known(spark: SparkSession, settings: Settings, times: Times) -> DataFrame:
    """Identities of the standing rows among which a resend of this batch may be found.

    An id is unique across the tables of facts, so all of these are looked at.
    """
    facts = [t for t in SILVER_EVENTS if not isinstance(t.write, Upsert)]
    spans = [span for table, span in times.items() if table in facts]
    known = {t: read(spark, settings, t.name) for t in times if t not in facts}
    if spans:
        horizon = timedelta(days=settings.dedup.horizon_days)
        first = min(span[0] for span in spans) - horizon
        last = max(span[1] for span in spans) + horizon
        near = F.col("occurred_at").between(first, last)
        known |= {t: read(spark, settings, t.name).where(near) for t in facts}
    return reduce(
        DataFrame.unionByName,
        (
            with_id_hash(rows.withColumn("table_name", F.lit(t.name)).select(*IDENTITY))
            for t, rows in known.items()
        ),
    )
