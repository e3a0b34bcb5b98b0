"""What tests expect: rows that name only the columns that a test is about."""

from collections.abc import Mapping, Sequence
from typing import Any

from chispa import assert_df_equality
from pyspark.sql import DataFrame


def assert_rows(frame: DataFrame, expected: Sequence[Mapping[str, Any]]) -> None:
    """`frame` has these rows, in any order, as far as the columns go that they name."""
    seen = frame.select(*expected[0])
    wanted = frame.sparkSession.createDataFrame(
        [[row[name] for name in seen.columns] for row in expected], seen.schema
    )
    assert_df_equality(seen, wanted, ignore_row_order=True, ignore_nullable=True)
