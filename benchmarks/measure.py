"""What the benchmarks share: a session on a folder that goes away, medians, alternation."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from math import exp, log
from pathlib import Path
from statistics import median

from pyspark.sql import SparkSession

from pipelines.io.lake import open_lake
from pipelines.io.session import spark_session
from pipelines.settings import Settings, load_settings

CORES = len(os.sched_getaffinity(0))
MB = 1 << 20


@contextlib.contextmanager
def lake(**overrides: object) -> Iterator[tuple[SparkSession, Settings]]:
    """A session on an empty lake in a temporary folder (TMPDIR), with all the machine's cores."""
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        settings = load_settings(overrides={"root": f"{folder}/lake", **overrides})
        open_lake(settings, create=True)
        spark = spark_session(settings)
        try:
            yield spark, settings
        finally:
            spark.stop()


def seconds(action: Callable[[], object]) -> float:
    """How long an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def alternated(ways: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each way measures; every other round takes them in reverse order."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            found[name].append(ways[name]())
            print(f"round {number + 1}  {name:24} {found[name][-1]:8.2f} s", flush=True)
    return {name: median(values) for name, values in found.items()}


def geometric_mean(values: list[float]) -> float:
    return exp(sum(map(log, values)) / len(values))


def size(folder: Path) -> int:
    """Bytes of the Parquet files in a folder."""
    return sum(file.stat().st_size for file in folder.glob("*.parquet"))
