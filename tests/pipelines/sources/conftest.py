import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kinesis_server import KinesisServer, kinesis_server
from landing import Landing, Landings
from pyspark.sql import SparkSession

# Before any session starts: Spark's Python workers have the environment that the JVM began with.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture(scope="module")
def quick_java() -> Iterator[None]:
    """Brokers that start in 1.8 instead of 3.2 s of processor time, and are slow at work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        yield


@pytest.fixture(scope="module")
def kinesis() -> Iterator[KinesisServer]:
    """A Kinesis server; tests tell themselves apart by stream."""
    with kinesis_server() as server:
        yield server


@pytest.fixture
def landing(spark: SparkSession, tmp_path: Path) -> Landings:
    """A folder for files of a format, and a stream on it."""
    return lambda file_format: Landing(spark, tmp_path, file_format)
