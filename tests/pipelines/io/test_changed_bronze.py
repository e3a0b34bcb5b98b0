"""What nobody but `erase` may do to rows of bronze stops silver, which would not know of it."""

import shutil

import pytest
from given import event
from given_person import TakeIn
from pyspark.sql import SparkSession

from pipelines.bronze.events import EVENTS
from pipelines.errors import SourceError
from pipelines.io.checkpoints import SILVER
from pipelines.io.lake import checkpoint_path, table_path
from pipelines.io.read import read
from pipelines.settings import Settings


def test_rows_that_someone_deleted_stop_the_stream_and_nothing_else_is_passed_over(
    spark: SparkSession, lake: Settings, take_in: TakeIn
) -> None:
    take_in(lake, [event("click", 1), event("click", 2)])
    bronze = f"delta.`{table_path(lake, EVENTS.name)}`"
    spark.sql(f"DELETE FROM {bronze} WHERE source_offset = 0")
    with pytest.raises(SourceError, match=r"version \d+ of bronze\.events changed or deleted rows"):
        take_in(lake, [event("click", 3)])
    shutil.rmtree(checkpoint_path(lake, SILVER))
    take_in(lake, [event("click", 4)])
    clicks = read(spark, lake, "silver.clicks").collect()
    assert sorted(int(row["event_id"][-1]) for row in clicks) == [1, 2, 3, 4]
