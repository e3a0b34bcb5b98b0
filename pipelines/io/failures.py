"""What Spark's failures say, in one line."""

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException

# PySpark has no class of its own for what fails in a task, and lets the gateway's error through.
SPARK_ERRORS = (PySparkException, Py4JJavaError)


def said(error: Exception) -> str:
    """The first line of an error's message, cut at 200 characters."""
    text = error.java_exception.getMessage() if isinstance(error, Py4JJavaError) else str(error)
    return next(iter((text or "").strip().splitlines()), type(error).__name__)[:200]


def is_file_gone(error: Exception) -> bool:
    """Whether a file was not there that a table's log names."""
    return "FILE_NOT_EXIST" in said(error)
