"""Two frames have the same fingerprint if and only if they hold the same rows, as multisets."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from pipelines.io.fingerprint import Fingerprint, fingerprint

Row = tuple[int | None, str | None, int | None]

# Few values, so that rows often differ in one place only, or repeat.
ROWS = st.tuples(
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from([None, "", "a", "0"]),
    st.sampled_from([None, 0, 1, -1]),
)


def frame(spark: SparkSession, rows: Sequence[Row]) -> DataFrame:
    def literal(value: int | str | None) -> str:
        return "NULL" if value is None else repr(value)

    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows) or "(0, '', 0)"
    typed = "CAST(a AS BIGINT) AS a, CAST(b AS STRING) AS b, CAST(c AS BIGINT) AS c"
    where = "" if rows else "WHERE false"
    return spark.sql(f"SELECT {typed} FROM VALUES {values} AS t(a, b, c) {where}")


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(left=st.lists(ROWS, max_size=4), right=st.lists(ROWS, max_size=4))
def test_equal_fingerprints_mean_equal_rows(
    spark: SparkSession, left: list[Row], right: list[Row]
) -> None:
    same_rows = sorted(left, key=repr) == sorted(right, key=repr)
    same = fingerprint(frame(spark, left)) == fingerprint(frame(spark, right))
    assert same == same_rows


def test_order_and_partitions_of_rows_do_not_count(spark: SparkSession) -> None:
    rows: list[Row] = [(n % 3, str(n % 5), n) for n in range(50)]
    shuffled = random.Random(7).sample(rows, len(rows))
    expected = fingerprint(frame(spark, rows))
    assert fingerprint(frame(spark, shuffled)) == expected
    assert fingerprint(frame(spark, shuffled).repartition(5, "c")) == expected


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([(1, "a", 2), (1, "a", 2), (3, "b", 4)], id="a row doubled"),
        pytest.param([(1, "a", 2), (3, "b", 4), (3, "b", 4), (3, "b", 4)], id="a row tripled"),
        pytest.param([(1, "a", 2)], id="a row missing"),
        pytest.param([(1, "a", 2), (3, "b", 5)], id="a value changed"),
        pytest.param([(1, "a", 2), (3, None, 4)], id="a value gone"),
        pytest.param([(2, "a", 1), (3, "b", 4)], id="two values swapped"),
        pytest.param([(1, "b", 2), (3, "a", 4)], id="values swapped between rows"),
        pytest.param([], id="all rows gone"),
    ],
)
def test_any_difference_shows(spark: SparkSession, other: list[Row]) -> None:
    expected = fingerprint(frame(spark, [(1, "a", 2), (3, "b", 4)]))
    assert fingerprint(frame(spark, other)) != expected


def test_value_that_moves_to_another_column_shows(spark: SparkSession) -> None:
    first, last = frame(spark, [(1, None, None)]), frame(spark, [(None, None, 1)])
    assert fingerprint(first) != fingerprint(last)


def test_no_rows_have_a_fingerprint(spark: SparkSession) -> None:
    assert fingerprint(frame(spark, [])) == Fingerprint(0, 0, 0)
