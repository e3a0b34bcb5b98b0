"""`make bench-maintain`: compaction beside OPTIMIZE, delta-rs and a copy, in MB/s per core.

Each round every way gets its own copy of the same table: 4 million events of about 60 stored
bytes in 200 files of about 1 MB, as micro-batches leave them. All write zstd. The megabytes are
those read; a core's share is the wall time's, whether the way uses all cores or not.

- here: `maintain`, which reads the log, compacts to files of the set size and reads the log again;
- OPTIMIZE: Delta's, in a session of ours with everything about it as it is by default;
- delta-rs: `DeltaTable.optimize.compact` with its default target size;
- copy: pyarrow reads the same files and writes them as one, with no log: a floor.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.dataset as ds
import pyarrow.parquet as pq
from deltalake import DeltaTable, WriterProperties
from pyspark.sql import SparkSession

from benchmarks.facts import purchases
from benchmarks.measure import CORES, MB, alternated, lake, seconds, size
from pipelines.bronze.events import EVENTS
from pipelines.io.lake import table_path
from pipelines.io.maintenance import maintain
from pipelines.settings import Settings

EVENTS_MADE = 4_000_000
FILES = 200
ROUNDS = 3


def main() -> None:
    with lake() as (spark, settings):
        source = Path(settings.root) / "source"
        # delta-rs cannot read VARIANT, so the open attributes are left out for all.
        rows = purchases(spark, EVENTS_MADE, FILES).drop("attributes", "item", "id")
        rows.write.format("delta").save(str(source))
        megabytes = size(source) / MB
        print(f"{EVENTS_MADE:,} events in {FILES} files, {megabytes:.0f} MB, {CORES} cores")
        ways = {
            "here": lambda path: _here(spark, settings, path),
            "OPTIMIZE": lambda path: _optimize(spark, path),
            "delta-rs": _delta_rs,
            "copy": _copy,
        }
        medians = alternated(
            {name: _on_a_copy(source, settings, way) for name, way in ways.items()}, ROUNDS
        )
    rate = {name: megabytes / took / CORES for name, took in medians.items()}
    for name, figure in rate.items():
        print(f"{name:10} {medians[name]:7.2f} s {figure:8.1f} MB/s per core")
    print(f"maintain ratio_vs_optimize={rate['here'] / rate['OPTIMIZE']:.2f} "
          f"ratio_vs_deltars={rate['here'] / rate['delta-rs']:.2f} "
          f"mb_per_s_core={rate['here']:.1f}")  # fmt: skip


def _on_a_copy(
    source: Path, settings: Settings, way: Callable[[Path], None]
) -> Callable[[], float]:
    def measure() -> float:
        path = Path(table_path(settings, EVENTS.name))
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(source, path)
        took = seconds(lambda: way(path))
        rows = ds.dataset(_shown(path)).count_rows()
        assert rows == EVENTS_MADE, rows
        return took

    return measure


def _here(spark: SparkSession, settings: Settings, path: Path) -> None:
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    (done,) = maintain(spark, settings, [EVENTS.name], clean=False)
    assert done.done == ("compacted",), done


def _optimize(spark: SparkSession, path: Path) -> None:
    spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # type: ignore[union-attr]
    spark.newSession().sql(f"OPTIMIZE delta.`{path}`").collect()


def _delta_rs(path: Path) -> None:
    zstd = WriterProperties(compression="ZSTD", compression_level=3)
    DeltaTable(path).optimize.compact(writer_properties=zstd)


def _copy(path: Path) -> None:
    files = _shown(path)
    with pq.ParquetWriter(
        path / "copy.parquet", pq.read_schema(files[0]), compression="zstd", compression_level=3
    ) as writer:
        for batch in ds.dataset(files).to_batches(batch_size=1 << 17):
            writer.write_batch(batch)


def _shown(path: Path) -> list[str]:
    return [str(path / file) for file in DeltaTable(path).file_uris()]


if __name__ == "__main__":
    main()
