"""What Spark itself says: the functions of users' SQL are its own, a long question is stopped."""

import time

import pytest
from pyspark.sql import SparkSession

from pipelines.errors import QueryTimeoutError
from pipelines.io.functions import ALLOWED
from pipelines.io.session import _jars_of
from pipelines.io.time_limit import spark_stopped_after

REFUSED = {
    "java_method", "reflect", "try_reflect",  # call Java
    "input_file_name", "input_file_block_start", "input_file_block_length",
    "current_user", "user", "session_user", "version", "current_catalog", "current_schema",
    "current_database", "current_path", "spark_partition_id", "monotonically_increasing_id",
    "xpath", "xpath_boolean", "xpath_double", "xpath_float", "xpath_int", "xpath_long",
    "xpath_number", "xpath_short", "xpath_string",
}  # fmt: skip
# Parts of the language that have a parenthesis behind them, and names of other dialects' functions.
SYNTAX = {
    "between", "case", "cast", "extract", "in", "when", "iff", "try_cast", "not", "like", "months",
    "timestampadd", "timestampdiff", "timestamp_add", "timestamp_diff",
}  # fmt: skip


def test_allowed_functions_are_spark_s_own(spark: SparkSession) -> None:
    builtin = {row[0] for row in spark.sql("SHOW SYSTEM FUNCTIONS").collect()}
    assert builtin >= REFUSED
    assert not ALLOWED & REFUSED
    assert sorted(ALLOWED - SYNTAX - builtin) == []


def test_a_question_to_spark_is_stopped(spark: SparkSession) -> None:
    begun = time.monotonic()
    rows = spark.range(5 * 10**10).selectExpr("sum(id % 7) AS n")
    with (
        pytest.raises(QueryTimeoutError, match="stopped after 1 s; ask for less"),
        spark_stopped_after(1.0, spark),
    ):
        rows.toArrow()
    assert time.monotonic() - begun < 30
    assert spark.range(3).count() == 3  # the next one is not touched
    assert not spark.sparkContext.getJobTags()


def test_the_jars_of_a_session_are_those_that_were_checked(spark: SparkSession) -> None:
    names = {jar.name for jar in _jars_of(spark)}
    assert "io.delta_delta-spark_4.2_2.13-4.4.0.jar" in names
    assert len(names) > 30
