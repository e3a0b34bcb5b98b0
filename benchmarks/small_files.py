"""`make bench-small-files`: how many files a table has while 1,000 micro-batches are committed.

One thread commits batches as the stream does, another maintains the table beside it, every five
seconds here, where a batch takes a fifth of a second.
"""

import time

from pyspark.sql import functions as F

from benchmarks.measure import lake
from pipelines.io.files import table_files
from pipelines.io.maintenance import Maintained, maintaining
from pipelines.io.read import read, schema_of
from pipelines.io.write import Transaction, create, write
from pipelines.silver.dropped_events import DROPPED_EVENTS

BATCHES, ROWS = 1_000, 100


def main() -> None:
    runs: list[Maintained] = []
    failed: list[Exception] = []
    with lake(**{"maintain.every_s": 5.0}) as (spark, settings):
        name = DROPPED_EVENTS.name
        create(spark, settings, DROPPED_EVENTS)
        row = [
            F.lit("0").cast(field.dataType).alias(field.name) for field in schema_of(DROPPED_EVENTS)
        ]
        started = time.perf_counter()
        with maintaining(spark, settings, [name], progress=runs.append, failed=failed.append):
            for batch in range(BATCHES):
                rows = spark.range(ROWS).coalesce(1).select(*row)
                write(rows, settings, DROPPED_EVENTS, transaction=Transaction("bench", batch))
                if batch % 100 == 99:
                    print(
                        f"{batch + 1:5} commits {time.perf_counter() - started:6.0f} s", flush=True
                    )
        took = time.perf_counter() - started
        rows_kept = read(spark, settings, name).count()
        files = table_files(spark, settings, name).files
    assert not failed, failed[0]
    assert rows_kept == BATCHES * ROWS, rows_kept
    # Files only grow in number between two runs, so a run sees the most there are.
    most = max(files, *(max(run.files_before, run.files_after) for run in runs))
    merged = [run for run in runs if run.done and run.files_after < run.files_before]
    bound = settings.maintain.max_small_files
    print(f"{BATCHES:,} commits in {took:.0f} s, {len(merged)} compactions beside them, "
          f"{sum(run.conflicts for run in runs)} conflicts")  # fmt: skip
    print(f"small-files most={most} at_end={files} bound={bound} commits={BATCHES}")


if __name__ == "__main__":
    main()
