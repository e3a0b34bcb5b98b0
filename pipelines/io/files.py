"""What a table consists of on storage, and what its log says of it, as Delta itself sees it.

Delta's own log object is asked: no public call tells small, clustered and purged files apart.
"""

from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.io.lake import table_path
from pipelines.settings import Settings

MB = 1 << 20


@dataclass(frozen=True)
class TableFiles:
    """The files of a table's newest version.

    Attributes:
        loose: files that a rewrite would merge: not clustered yet where the table is clustered,
            else small.
        deleted_rows: rows that deletion vectors hide.
        table_id: by which a stream's checkpoint names the table.
    """

    table_id: str
    version: int
    is_clustered: bool
    files: int
    bytes: int
    loose: int
    rows: int
    deleted_rows: int

    @property
    def deleted_share(self) -> float:
        return self.deleted_rows / self.rows if self.rows else 0.0


def table_files(spark: SparkSession, settings: Settings, name: str) -> TableFiles:
    """Count the files of a table; those below half the size that `maintain` writes are small."""
    snapshot = _snapshot(spark, settings, name)
    is_clustered = "clustering" in snapshot.protocol().json()
    small = F.col("size") < settings.maintain.file_mb * MB // 2
    is_loose = F.col("clusteringProvider").isNull() if is_clustered else small
    rows = F.get_json_object("stats", "$.numRecords").cast("bigint")
    sums = {"bytes": F.sum("size"), "rows": F.sum(rows)}
    sums["deleted_rows"] = F.sum("deletionVector.cardinality")
    found = (
        DataFrame(snapshot.allFiles().toDF(), spark)
        .agg(
            F.count("*").alias("files"),
            F.count_if(is_loose).alias("loose"),
            *(F.coalesce(total, F.lit(0)).alias(name) for name, total in sums.items()),
        )
        .collect()[0]
    )
    return TableFiles(
        snapshot.metadata().id(), int(snapshot.version()), is_clustered, **found.asDict()
    )


def version_now(spark: SparkSession, settings: Settings, name: str) -> int:
    """A table's newest version; -1 if nothing was written to it."""
    return int(_snapshot(spark, settings, name).version())


def table_id(spark: SparkSession, settings: Settings, name: str) -> str:
    """By which a table is told from another one made later in its place."""
    return str(_snapshot(spark, settings, name).metadata().id())


def bytes_of(spark: SparkSession, settings: Settings, name: str) -> int:
    """Size of the files of a table's newest version.

    It stands in the checksum beside the commit; to sum the log up takes a Spark job.
    """
    snapshot = _snapshot(spark, settings, name)
    checksum = snapshot.checksumOpt()
    known = checksum.get().tableSizeBytes() if checksum.isDefined() else snapshot.sizeInBytes()
    return int(known)


def committed_at(spark: SparkSession, settings: Settings, name: str, version: int) -> float | None:
    """When a version was committed, in seconds since 1970; None if its log entry is gone."""
    entry = _path(spark, f"{table_path(settings, name)}/_delta_log/{version:020}.json")
    system = _file_system(spark, entry)
    if not system.exists(entry):
        return None
    return float(system.getFileStatus(entry).getModificationTime()) / 1000


def bytes_on_storage(spark: SparkSession, settings: Settings, name: str) -> int:
    """All that stands in the table's folder: files shown, files kept for old versions, log."""
    folder = _path(spark, table_path(settings, name))
    return int(_file_system(spark, folder).getContentSummary(folder).getLength())


def names_in(spark: SparkSession, folder: str) -> list[str]:
    """Names of the files and folders in a folder of the lake, sorted; none if there is none."""
    path = _path(spark, folder)
    system = _file_system(spark, path)
    if not system.exists(path):
        return []
    return sorted(status.getPath().getName() for status in system.listStatus(path))


def qualified(spark: SparkSession, folder: str) -> str:
    """A folder as Spark names it in the paths of its files: `file:/folder`, `s3a://bucket/folder`."""
    path = _path(spark, folder)
    return str(_file_system(spark, path).makeQualified(path).toString())


def text_of(spark: SparkSession, path: str) -> str:
    """A small file of the lake; empty if there is none."""
    file = _path(spark, path)
    system = _file_system(spark, file)
    if not system.exists(file):
        return ""
    stream = system.open(file)
    try:
        return str(spark._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))  # type: ignore[union-attr]
    finally:
        stream.close()


def move(spark: SparkSession, folder: str, target: str) -> None:
    """Give a folder of the lake another name."""
    old, new = _path(spark, folder), _path(spark, target)
    system = _file_system(spark, old)
    system.mkdirs(new.getParent())
    system.rename(old, new)


def applied(spark: SparkSession, settings: Settings, name: str, application: str) -> int:
    """The newest version of a transaction that a table holds; -1 if it holds none."""
    found = _snapshot(spark, settings, name).transactions().get(application)
    return int(found.get()) if found.isDefined() else -1


def property_of(spark: SparkSession, settings: Settings, name: str, key: str) -> str:
    """A property of a table; empty if it has none of that name."""
    found = _snapshot(spark, settings, name).metadata().configuration().get(key)
    return str(found.get()) if found.isDefined() else ""


def clean_log(spark: SparkSession, settings: Settings, name: str) -> None:
    """Write a checkpoint, then delete the log entries before it that have outlived retention."""
    log = delta_log(spark, settings, name)
    snapshot = _snapshot(spark, settings, name)
    none = spark._jvm.scala.Option.empty()  # type: ignore[union-attr]
    log.checkpoint(snapshot, none)
    by_day = getattr(log, "cleanUpExpiredLogs$default$4")()
    log.cleanUpExpiredLogs(snapshot, none, none, by_day)


def forget_log(spark: SparkSession, settings: Settings, name: str) -> None:
    """Write a checkpoint of a table's newest version, then delete all of the log before it."""
    log, snapshot = delta_log(spark, settings, name), _snapshot(spark, settings, name)
    log.checkpoint(snapshot, spark._jvm.scala.Option.empty())  # type: ignore[union-attr]
    folder = _path(spark, f"{table_path(settings, name)}/_delta_log")
    system, newest = _file_system(spark, folder), int(snapshot.version())
    for status in system.listStatus(folder):
        file = str(status.getPath().getName())
        is_old = file[:20].isdigit() and int(file[:20]) < newest
        if is_old or (file.startswith(".") and file.endswith(".tmp")):
            system.delete(status.getPath(), False)


def delete(spark: SparkSession, path: str) -> None:
    """Delete a file of the lake, if it is there."""
    file = _path(spark, path)
    _file_system(spark, file).delete(file, False)


def delta_log(spark: SparkSession, settings: Settings, name: str) -> Any:
    """Delta's own object for a table's log."""
    delta = spark._jvm.org.apache.spark.sql.delta.DeltaLog  # type: ignore[union-attr]
    return delta.forTable(spark._jsparkSession, table_path(settings, name))


def _snapshot(spark: SparkSession, settings: Settings, name: str) -> Any:
    none = spark._jvm.scala.Option.empty()  # type: ignore[union-attr]
    return delta_log(spark, settings, name).update(False, none, none)


def _path(spark: SparkSession, path: str) -> Any:
    return spark._jvm.org.apache.hadoop.fs.Path(path)  # type: ignore[union-attr]


def _file_system(spark: SparkSession, path: Any) -> Any:
    return path.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf())
