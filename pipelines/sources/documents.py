"""Documents that stand in a folder or bucket: what is there, and what their bytes say."""

import contextlib
import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from pipelines.settings_sections import DocumentsSettings
from pipelines.sources.document_text import Content, read_document
from pipelines.sources.limited import Limited, LimitError

CONTENT = pa.schema(
    [
        *((name, pa.string()) for name in ("reference", "sha256", "media_type")),
        *((name, pa.string()) for name in ("text", "text_reason", "attributes")),
        *((name, pa.int32()) for name in ("width", "height")),
    ]
)

# As Hadoop writes a URI: `file:/folder`, `s3a://bucket/folder`.
SCHEME_AND_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*:(//[^/]*)?"

MEMORY_BYTES = 1 << 30  # beyond this an HTML page is refused: one of 30 MB took 1.5 GB, text 0.1


def open_folder(spark: SparkSession, folder: str) -> DataFrame | None:
    """The files of a folder as they are now, listed once; None if there is no such folder.

    Not a stream: Spark's file stream takes a path once and never sees that it changed, and it
    passes over files that are seven days older than the newest (`maxFileAge`).
    """
    try:
        return (
            spark.read.format("binaryFile")
            .option("recursiveFileLookup", "true")
            .option("__globPaths__", "false")  # `[` in a folder's name is no pattern
            .option("ignoreMissingFiles", "true")  # removed since it was listed
            .option("ignoreCorruptFiles", "true")  # no permission: it has no content, that is all
            .load(folder)
        )
    except AnalysisException as error:
        if error.getCondition() == "PATH_NOT_FOUND":
            return None
        raise


def listing(files: DataFrame, folder: str) -> DataFrame:
    """One row per file of the folder; nothing is read from it.

    Returns:
        `reference`, `uri` (the same, with escapes), `path` below the folder, `size_bytes` and
        `modified_at`.
    """
    above = posixpath.normpath(re.sub(SCHEME_AND_HOST, "", folder))
    path = F.regexp_replace("path", SCHEME_AND_HOST, "")
    return files.select(
        F.col("path").alias("reference"),
        F.substr(path, F.lit(len(above) + 2)).alias("path"),
        F.col("_metadata.file_path").alias("uri"),
        F.col("length").alias("size_bytes"),
        F.col("modificationTime").alias("modified_at"),
    )


def contents(files: DataFrame, uris: Sequence[str], documents: DocumentsSettings) -> DataFrame:
    """What the bytes of the files named by `uris` say, in the columns of `CONTENT`.

    Both filters are applied before a file is opened. A file that is too large, or that the
    storage does not give, has no row.
    """
    chosen = files.where(F.col("_metadata.file_path").isin(list(uris))).where(
        F.col("length") <= documents.max_bytes
    )
    read = partial(_read_all, seconds=documents.max_seconds)
    return chosen.select("path", "content").mapInArrow(read, from_arrow_schema(CONTENT))


def _read_all(batches: Iterable[pa.RecordBatch], seconds: float) -> Iterator[pa.RecordBatch]:
    """One batch per document: a text may be many times as large as its PDF."""
    limited = Limited(read_document, seconds=seconds, memory_bytes=MEMORY_BYTES)
    with contextlib.closing(limited):
        for batch in batches:
            for path, data in zip(*batch.columns, strict=True):
                row = _row(limited, path.as_py(), data.as_py())
                yield pa.RecordBatch.from_pylist([row], CONTENT)


def _row(read: Limited[Content], path: str, data: bytes) -> dict[str, object]:
    try:
        content = read(path, data)
    except LimitError:
        content = Content(None, text_reason="too_costly")
    return {
        "reference": path,
        "sha256": hashlib.sha256(data).hexdigest(),
        "media_type": content.media_type,
        "text": content.text,
        "text_reason": content.text_reason,
        "width": content.width,
        "height": content.height,
        "attributes": json.dumps(content.attributes) if content.attributes else None,
    }
