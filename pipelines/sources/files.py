"""Events from files that land in a folder or bucket: JSON Lines, CSV or Parquet."""

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.settings_sections import FilesSettings
from pipelines.sources.files_csv import csv_events
from pipelines.sources.files_parquet import parquet_events

# What is still being written ends in .tmp or .part. A glob cannot say "not", so these are all
# other endings; Spark itself leaves out names that start with `_` or `.`.
FINISHED = (
    "{*[^pt],*[^m]p,*[^t]mp,*[^.]tmp,*[^r]t,*[^a]rt,*[^p]art,*[^.]part,p,mp,tmp,t,rt,art,part}"
)

_EVENTS = (
    "source STRING, source_partition INT, source_offset BIGINT, payload BINARY, "
    "produced_at TIMESTAMP"
)
_WHOLE = str(1 << 40)  # more bytes than a file has
_BINARY_FILE = "path STRING, modificationTime TIMESTAMP, length BIGINT, content BINARY"


def file_events(spark: SparkSession, files: FilesSettings, folder: str) -> DataFrame:
    """The files of a folder, each once, as a stream of bronze columns.

    `source_offset` is the number of the row in its file, from 0, whatever batch, machine or
    checkpoint reads it. For a line of JSON it is null: a stream cannot number rows, and bronze
    numbers those of each task.
    """
    reader = (
        _one_task_per_file(spark)
        .readStream.option("maxFilesPerTrigger", files.max_files_per_trigger)
        .option("recursiveFileLookup", "true")
        .option("pathGlobFilter", FINISHED)
        # A file older than a week when it lands would be passed over without a word.
        .option("maxFileAge", "36500d")
        .option("ignoreCorruptFiles", "false")
        .option("ignoreMissingFiles", "false")
    )
    if files.format == "parquet":
        contents = reader.format("binaryFile").schema(_BINARY_FILE).load(folder)
        return _from(contents, "content").mapInArrow(parquet_events, _EVENTS)
    lines = _from(reader.format("text").load(folder), "value")
    if files.format == "csv":
        return lines.mapInArrow(csv_events, _EVENTS)
    return lines.select(
        "source",
        F.lit(0).alias("source_partition"),
        F.lit(None).cast("bigint").alias("source_offset"),
        "payload",
        "produced_at",
    )


def landed(spark: SparkSession, folder: str) -> DataFrame:
    """The files that `file_events` would read, by the `source` that their rows have."""
    reader = spark.read.option("recursiveFileLookup", "true").option("pathGlobFilter", FINISHED)
    return (
        reader.format("binaryFile")
        .load(folder)
        .select(F.col("_metadata.file_path").alias("source"))
    )


def _from(rows: DataFrame, content: str) -> DataFrame:
    return rows.select(
        F.col("_metadata.file_path").alias("source"),
        F.col(content).cast("binary").alias("payload"),
        F.col("_metadata.file_modification_time").alias("produced_at"),
    )


def _one_task_per_file(spark: SparkSession) -> SparkSession:
    """A session of its own whose tasks read one file each, from its start to its end.

    So a row's number in its task is its number in the file, at no cost, and a CSV file's rows
    follow its header.
    """
    session = spark.newSession()
    for key, value in spark.conf.getAll.items():
        if spark.conf.isModifiable(key):
            session.conf.set(key, value)
    session.conf.set("spark.sql.files.maxPartitionBytes", _WHOLE)
    session.conf.set("spark.sql.files.openCostInBytes", _WHOLE)
    return session
