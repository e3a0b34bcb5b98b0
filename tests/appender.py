"""A writer that appends numbers to a table, each under the table's lock; a function and a program.

As a program it takes the lake's folder and its first number, says `ready`, waits for a line, and
prints how often it was refused.
"""

import sys
import time

from pyspark.sql import SparkSession

from pipelines.errors import LockedError
from pipelines.io.lake import table_path
from pipelines.io.session import spark_session
from pipelines.running import writing
from pipelines.settings import Settings, load_settings

TABLE = "bronze.numbers"


def append(spark: SparkSession, settings: Settings, first: int, count: int) -> int:
    """Append `count` numbers, trying again when refused; how often that was."""
    refused = 0
    number = first
    while number < first + count:
        try:
            with writing(settings, TABLE):
                rows = spark.range(number, number + 1)
                rows.write.format("delta").mode("append").save(table_path(settings, TABLE))
        except LockedError:
            refused += 1
            time.sleep(0.05)
            continue
        number += 1
    return refused


if __name__ == "__main__":
    from small import SMALL

    settings = load_settings(overrides={**SMALL, "root": sys.argv[1], "spark.master": "local[1]"})
    spark = spark_session(settings)
    spark.range(1).count()
    print("ready", flush=True)  # noqa: T201
    sys.stdin.readline()
    print(append(spark, settings, int(sys.argv[2]), int(sys.argv[3])), flush=True)  # noqa: T201
