"""silver.documents: one row per document, as its file is now."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.table import Table, Upsert, matches, not_null

FILE_SCHEMA = """
    reference   STRING NOT NULL COMMENT 'where the bytes are, as Spark reads them; not copied',
    size_bytes  BIGINT NOT NULL COMMENT 'size of the file',
    modified_at TIMESTAMP NOT NULL COMMENT 'when the file was last changed, UTC'
"""

DOCUMENTS = Table(
    name="silver.documents",
    comment="One row per document, as its file is now: where it is, what it is and what it says.",
    schema=f"""
        {FILE_SCHEMA},
        kind        STRING NOT NULL COMMENT 'the first folder of its path: reviews, images',
        item_id     STRING NOT NULL COMMENT 'the second folder: the item it is about',
        name        STRING NOT NULL COMMENT 'the rest of the path',
        media_type  STRING COMMENT 'as its bytes tell; null if they are unknown or were not read',
        sha256      STRING COMMENT 'of the bytes, hexadecimal; null if they were not read',
        width       INT COMMENT 'of an image, in pixels',
        height      INT COMMENT 'of an image, in pixels',
        text        STRING COMMENT 'extracted text; of an image, its description',
        text_reason STRING COMMENT 'why there is no text, or not all of it',
        attributes  VARIANT COMMENT 'what it says of itself: title, author, pages, EXIF',
        ingested_at TIMESTAMP NOT NULL COMMENT 'when these bytes were taken in, UTC',
        removed_at  TIMESTAMP COMMENT 'when it was found gone, UTC; null while the file is there'
    """,
    write=Upsert(keys=("reference",), sequence_by=("modified_at",)),
    cluster_by=("item_id",),
    checks=(
        not_null("kind"),
        matches("kind", r"[a-z][a-z0-9_-]{0,63}", "kind_malformed"),
        not_null("item_id"),
        matches("item_id", r"[\x21-\x7e]{1,128}", "item_id_malformed"),
    ),
)

DOCUMENTS_QUARANTINE = Table(
    name="silver.documents_quarantine",
    comment="One row per file that is no document, since its path does not say of what.",
    schema=f"""
        {FILE_SCHEMA},
        reasons     ARRAY<STRING> NOT NULL COMMENT 'codes of the checks that it broke',
        ingested_at TIMESTAMP NOT NULL COMMENT 'when it was refused, UTC'
    """,
    write=Upsert(keys=("reference",), sequence_by=("modified_at",)),
)


def placed(files: DataFrame) -> DataFrame:
    """`files` with `kind`, `item_id`, `name`, and `reasons` against the path (empty if none).

    Args:
        files: with `path`, relative to the folder of the documents: KIND/ITEM_ID/NAME.
    """
    parts = F.split("path", "/")
    faults = [F.when(~F.expr(rule.condition), rule.reason) for rule in DOCUMENTS.checks]
    return files.withColumns(
        {
            "kind": F.when(F.size(parts) > 1, parts[0]),
            "item_id": F.when(F.size(parts) > 2, parts[1]),
            "name": F.array_join(F.slice(parts, F.lit(3), F.size(parts)), "/"),
        }
    ).withColumn("reasons", F.array_compact(F.array(*faults)))


def not_yet(files: DataFrame, standing: DataFrame) -> DataFrame:
    """Those `files` of which no row of `standing` tells the present state."""
    return files.join(standing, ["reference", "size_bytes", "modified_at"], "left_anti")


def removed_from(standing: DataFrame, files: DataFrame, now: Column) -> DataFrame:
    """Those rows of `standing` whose file is not among `files`, as removed `now`."""
    gone = standing.join(files.select("reference"), "reference", "left_anti")
    return gone.withColumn("removed_at", now).select(*DOCUMENTS.columns)


def documents(
    files: DataFrame, contents: DataFrame, standing: DataFrame, max_bytes: int, now: Column
) -> DataFrame:
    """The rows of `files`, with what was read of them.

    Args:
        files: placed files.
        contents: sha256, media type, text and so on by `reference`; no row for an unread file.
        standing: rows of silver.documents, of which those with the same bytes keep their time.
        max_bytes: what is larger was not read.
        now: the time that new bytes get.
    """
    before = standing.select("reference", "sha256", F.col("ingested_at").alias("before"))
    unread = F.when(F.col("size_bytes") > max_bytes, "too_large").otherwise("not_read")
    is_read = F.col("sha256").isNotNull()
    return (
        files.join(contents, "reference", "left")
        .join(before, ["reference", "sha256"], "left")
        .withColumns(
            {
                "text_reason": F.when(is_read, F.col("text_reason")).otherwise(unread),
                "attributes": F.try_parse_json("attributes"),
                "ingested_at": F.coalesce("before", now),
                "removed_at": F.lit(None).cast("timestamp"),
            }
        )
        .select(*DOCUMENTS.columns)
    )
