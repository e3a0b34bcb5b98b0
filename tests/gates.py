"""Rows that wait: a write begins with them and ends when a test lets it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyspark.sql import DataFrame


def behind(gate: Path, rows: DataFrame) -> DataFrame:
    """The rows, which can be read once the gate is open."""
    path = str(gate)

    def wait(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        Path(path).read_bytes()
        yield from batches

    one = rows.sparkSession.range(0, 1, 1, 1).withColumnRenamed("id", "gate")
    return rows.crossJoin(one.mapInArrow(wait, one.schema)).drop("gate")


def shut(gate: Path) -> Path:
    os.mkfifo(gate)
    return gate


@contextmanager
def before_opening(gate: Path) -> Iterator[None]:
    """Runs the block once someone waits at the gate, then opens it for good."""
    opened = gate.with_suffix(".open")
    opened.touch()
    with gate.open("wb"):  # waits until the other end is open
        yield
        opened.replace(gate)
