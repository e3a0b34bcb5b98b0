"""How `maintain` lays out files, so that a question reads little more than it must.

Measured by `make bench-layout`; what each setting gained stands in benchmarks/README.md.
"""

from pyspark.sql import SparkSession

from pipelines.io.files import MB
from pipelines.settings import Settings

# Rows of a Parquet page, the least that a reader can skip: of 20,000 by default.
PAGE_ROWS = 2_000

# How finely Delta cuts each clustering column before it lays the curve through them. With the
# default of 1,000 the column with most values takes the curve's upper bits for itself, and
# columns of a few values, such as category and region, are hardly clustered.
_RANGES = {1: 16_384, 2: 1_024, 3: 64}

_DELTA = "spark.databricks.delta"
_CURVE = "spark.databricks.io.skipping.mdc"
_VACUUM = {
    # It would pass over the retention that it is told.
    f"{_DELTA}.vacuum.retentionWindowIgnore.enabled": "false",
    # Two commits each time would tell every view that its source has changed.
    f"{_DELTA}.vacuum.logging.enabled": "false",
    # It lists a folder with this many tasks, 10,000 by default.
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "16",
}


def layout_conf(settings: Settings, cluster_by: int = 0) -> dict[str, str]:
    """Spark settings of a session that rewrites a table.

    Args:
        cluster_by: by how many columns the table is clustered.
    """
    file_bytes = settings.maintain.file_mb * MB
    cube_bytes = settings.maintain.cube_mb * MB
    merge = f"{_DELTA}.optimize.clustering.mergeStrategy"
    conf = {
        f"{_DELTA}.optimize.minFileSize": str(file_bytes // 2),
        f"{_DELTA}.optimize.maxFileSize": str(file_bytes),
        # Spark's default, INT96, has no minimum and maximum: no page would be skipped by time.
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    }
    if not cluster_by:
        return conf
    return conf | {
        # By default a cube is open until it has 100 GB, and each run rewrites it whole.
        f"{merge}.minCubeSize.threshold": str(cube_bytes),
        f"{merge}.minCubeSize.targetCubeSize": str(cube_bytes * 3 // 2),
        f"{_CURVE}.rangeId.max": str(_RANGES.get(cluster_by, 64)),
        f"{_CURVE}.sortWithinFiles": "true",
        f"{_CURVE}.addNoise": "false",  # it scatters equal keys over files
        "parquet.page.row.count.limit": str(PAGE_ROWS),
        # Whoever reads one page of a column reads the column's dictionary too: of 1 MB by default.
        "parquet.dictionary.page.size": str(32 * 1024),
    }


def layout_session(spark: SparkSession, settings: Settings, cluster_by: int = 0) -> SparkSession:
    """A session of its own beside `spark`, whose settings no other write sees."""
    session = spark.newSession()
    for key, value in layout_conf(settings, cluster_by).items():
        session.conf.set(key, value)
    for key, value in _VACUUM.items():
        session.conf.set(key, value)
    return session
