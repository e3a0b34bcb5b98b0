"""A commit that another writer spoils is tried again, a bounded number of times."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from delta.tables import DeltaTable
from pyspark.sql import SparkSession

from pipelines.errors import ConflictError
from pipelines.io.conflicts import CONFLICTS, retrying


@pytest.fixture
def table(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> DeltaTable:
    path = str(tmp_path_factory.mktemp("conflicts") / "t")
    spark.range(0, 10, 1, 1).write.format("delta").save(path)
    return DeltaTable.forPath(spark, path)


def test_conflicts_are_counted_and_the_action_ends_well(table: DeltaTable) -> None:
    """Two threads update the same row over and over: Delta lets one of each pair through."""
    start = threading.Barrier(2)

    def count_up() -> int:
        conflicts = 0
        for _ in range(2):
            start.wait()
            conflicts += retrying(lambda: table.update("id >= 0", {"id": "id + 10"}), 10, "t")
        return conflicts

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(count_up) for _ in range(2)]
        conflicts = sum(run.result() for run in runs)
    assert conflicts > 0
    lowest = table.toDF().agg({"id": "min"}).collect()[0][0]
    assert lowest == 40


def test_it_gives_up_after_so_many_attempts() -> None:
    tried = []

    def spoilt() -> None:
        tried.append(1)
        raise CONFLICTS[0]("another writer was first")

    with pytest.raises(ConflictError, match=r"silver\.x: .* at each of 2 attempts; run again"):
        retrying(spoilt, 2, "silver.x")
    assert len(tried) == 2
    with pytest.raises(ConflictError, match=r"silver\.x: .* changed its rows meanwhile; run again"):
        retrying(spoilt, 2, "silver.x", only_rewrites=True)
    assert len(tried) == 3


def test_other_errors_are_not_retried() -> None:
    tried = []

    def broken() -> None:
        tried.append(1)
        raise ValueError("not a conflict")

    with pytest.raises(ValueError, match="not a conflict"):
        retrying(broken, 3, "silver.x")
    assert len(tried) == 1
