"""What a command leaves for the job that it is a task of, on Databricks and here alike."""

from pyspark.sql import SparkSession


def leave_value(key: str, value: bool | int | float | str) -> None:
    """Set a task value, for conditions and the tasks that follow; outside of a job, do nothing."""
    try:
        from pyspark.dbutils import DBUtils  # type: ignore[import-not-found]  # runtimes have it
    except ImportError:
        return
    DBUtils(SparkSession.getActiveSession()).jobs.taskValues.set(key=key, value=value)
