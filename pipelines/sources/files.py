"""Events from JSON Lines files that land in a folder, one event a line."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.settings import FilesSettings


def file_events(spark: SparkSession, files: FilesSettings, folder: str) -> DataFrame:
    """The files of a folder, each once, as a stream of bronze columns.

    A line has no offset of its own, so `source_offset` is null; bronze numbers the lines.
    """
    lines = (
        spark.readStream.format("text")
        .option("maxFilesPerTrigger", files.max_files_per_trigger)
        .option("recursiveFileLookup", "true")
        .load(folder)
    )
    return lines.select(
        F.col("_metadata.file_path").alias("source"),
        F.lit(0).alias("source_partition"),
        F.lit(None).cast("bigint").alias("source_offset"),
        F.col("value").cast("binary").alias("payload"),
        F.col("_metadata.file_modification_time").alias("produced_at"),
    )
