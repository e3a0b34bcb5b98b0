"""Which item a document is about, and what stands in its row."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from expect import assert_rows
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from pipelines.silver.documents import DOCUMENTS, documents, not_yet, placed

NOW, EARLIER = datetime(2026, 1, 2), datetime(2026, 1, 1)
CONTENTS = (
    "reference STRING, sha256 STRING, media_type STRING, text STRING, text_reason STRING, "
    "width INT, height INT, attributes STRING"
)


def test_kind_item_and_name_come_from_the_path(spark: SparkSession) -> None:
    cases: dict[str, tuple[str | None, str | None, list[str]]] = {
        "reviews/i1/a.txt": ("reviews", "i1", []),
        "reviews/i1/2026/a b.txt": ("reviews", "i1", []),
        "reviews/i%201/é[1]{2}\n.txt": ("reviews", "i%201", []),
        "reviews/a..b/..txt": ("reviews", "a..b", []),
        "a.txt": (None, None, ["kind_missing", "item_id_missing"]),
        "reviews/a.txt": ("reviews", None, ["item_id_missing"]),
        "Reviews/i1/a.txt": ("Reviews", "i1", ["kind_malformed"]),
        "kind=x/i1/a.txt": ("kind=x", "i1", ["kind_malformed"]),
        "reviews/i 1/a.txt": ("reviews", "i 1", ["item_id_malformed"]),
        f"reviews/{'i' * 129}/a.txt": ("reviews", "i" * 129, ["item_id_malformed"]),
        "reviews/\u0456\u0456/a.txt": ("reviews", "\u0456\u0456", ["item_id_malformed"]),
    }
    rows = placed(spark.createDataFrame([[path] for path in cases], "path STRING")).collect()
    assert {r["path"]: (r["kind"], r["item_id"], r["reasons"]) for r in rows} == cases
    names = {r["path"]: r["name"] for r in rows}
    assert names["reviews/i1/2026/a b.txt"] == "2026/a b.txt"


@pytest.fixture
def files(spark: SparkSession) -> DataFrame:
    """Three files as they are now: of 10, 10 and 99 bytes."""
    found = [(name, "reviews", "i1", name, size, NOW) for name, size in zip("abc", (10, 10, 99))]  # noqa: B905
    columns = "reference STRING, kind STRING, item_id STRING, name STRING, size_bytes BIGINT"
    return spark.createDataFrame(found, f"{columns}, modified_at TIMESTAMP")


def test_only_files_that_no_row_tells_of_are_new(
    spark: SparkSession, rows: Callable[..., DataFrame], files: DataFrame
) -> None:
    def standing(**changed: Any) -> DataFrame:
        row = {"reference": "a", "size_bytes": 10, "modified_at": NOW, **changed}
        return rows(DOCUMENTS, [row])

    def names(found: DataFrame) -> str:
        return "".join(sorted(row["name"] for row in found.collect()))

    assert names(not_yet(files, standing())) == "bc"
    assert names(not_yet(files, standing(size_bytes=9))) == "abc"
    assert names(not_yet(files, standing(modified_at=EARLIER))) == "abc"


def test_unread_files_say_why_and_same_bytes_keep_their_time(
    spark: SparkSession, rows: Callable[..., DataFrame], files: DataFrame
) -> None:
    read = [("a", "f0", "text/plain", "Milk", None, None, None, '{"stars": 5}')]
    contents = spark.createDataFrame(read, CONTENTS)
    same = {"reference": "a", "sha256": "f0", "ingested_at": EARLIER}
    other = {"reference": "a", "sha256": "00", "ingested_at": EARLIER}
    expected = [
        {"name": "a", "text": "Milk", "text_reason": None, "ingested_at": EARLIER},
        {"name": "b", "text": None, "text_reason": "not_read", "ingested_at": NOW},
        {"name": "c", "text": None, "text_reason": "too_large", "ingested_at": NOW},
    ]
    found = documents(files, contents, rows(DOCUMENTS, [same]), 50, F.lit(NOW))
    assert_rows(found, expected)
    assert found.where("attributes:stars::int = 5").count() == 1
    expected[0]["ingested_at"] = NOW
    assert_rows(documents(files, contents, rows(DOCUMENTS, [other]), 50, F.lit(NOW)), expected)
