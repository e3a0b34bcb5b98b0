"""Whatever lands in the folder of documents: each file has one row that tells its present state."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from given_documents import image, pdf
from pyspark.sql import SparkSession

import pipelines.io.documents
from pipelines.io.documents import ingest_documents
from pipelines.io.query import query
from pipelines.io.read import read, table_status, version_of
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.documents import DOCUMENTS, DOCUMENTS_QUARANTINE

ODD_NAMES = (
    "a b.txt", "a%20b.txt", "a+b#c&d;e=f.txt", "[1]{2},*?^.txt", "q'\".txt", "a..b", "a\\b.txt",
    "line\nend.txt", "\u00e9\u4e2d\U0001f6d2.txt", "\u202etxt.a",
)  # fmt: skip
Put = Callable[[str, bytes], Path]


@pytest.fixture
def documents_lake(lake: Settings) -> Settings:
    """A lake whose limits a small file can reach."""
    limits = {"max_bytes": 1_000_000, "max_seconds": 1.0, "max_files_per_batch": 20}
    return lake.model_copy(update={"documents": lake.documents.model_copy(update=limits)})


@pytest.fixture
def put(documents_lake: Settings) -> Put:
    """Let a document land."""

    def run(name: str, data: bytes) -> Path:
        file = Path(documents_lake.root) / "documents" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return file

    return run


def run(spark: SparkSession, settings: Settings) -> int:
    return ingest_documents(spark, settings, lambda stage, count: None)


def found(spark: SparkSession, settings: Settings, column: str) -> dict[str, Any]:
    """A column of silver.documents by name; each document stands once."""
    rows = read(spark, settings, DOCUMENTS.name).select("name", column).collect()
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0]: row[1] for row in rows}


def test_absent_folder_holds_no_documents(spark: SparkSession, documents_lake: Settings) -> None:
    assert run(spark, documents_lake) == 0
    assert read(spark, documents_lake, DOCUMENTS.name).isEmpty()


def test_every_file_is_accounted_whatever_it_holds_and_is_called(
    spark: SparkSession, documents_lake: Settings, put: Put
) -> None:
    texts: dict[str, str | None] = {name: f"text of {name}" for name in ODD_NAMES}
    for name, text in texts.items():
        put(f"reviews/i1/{name}", (text or "").encode())
    put("images/i2/cow.jpg", image("JPEG", description="A cow"))
    put("descriptions/i2/milk.pdf", pdf("Fresh milk"))
    poison = {
        "broken.pdf": (pdf("Fresh milk")[:300], "damaged"),
        "secret.pdf": (pdf("Fresh milk", password="secret"), "encrypted"),  # noqa: S106
        "deep.html": (b"<html>" + b"<div>" * 100_000, "too_costly"),
        "large.txt": (b"a" * 1_000_001, "too_large"),
        "co:lon.txt": (b"Spark cannot open this name", "not_read"),
        "zeros.bin": (b"\0" * 9, "type_not_supported"),
        "blank.txt": (b" ", "no_text"),
    }
    for name, (data, _) in poison.items():
        put(f"reviews/i3/{name}", data)
    misplaced = {put("a.txt", b"a"), put("reviews/a.txt", b"a"), put("reviews/i 1/a.txt", b"a")}
    count = len(texts) + 2 + len(poison)

    assert run(spark, documents_lake) == count
    texts |= {"cow.jpg": "A cow", "milk.pdf": "Fresh milk", **dict.fromkeys(poison, None)}
    assert found(spark, documents_lake, "text") == texts
    reasons = {name: reason for name, (_, reason) in poison.items()}
    assert found(spark, documents_lake, "text_reason") == dict.fromkeys(texts, None) | reasons
    refused = read(spark, documents_lake, DOCUMENTS_QUARANTINE.name).collect()
    assert {row["reference"] for row in refused} == {f"file:{path}" for path in misplaced}
    assert all(row["reasons"] for row in refused)

    names = [DOCUMENTS.name, DOCUMENTS_QUARANTINE.name]
    statuses = table_status(spark, documents_lake, names)
    assert [status.rows for status in statuses] == [count, 3]
    assert run(spark, documents_lake) == 0
    assert table_status(spark, documents_lake, names) == statuses, "there was nothing new"


def test_a_row_follows_its_file(spark: SparkSession, documents_lake: Settings, put: Put) -> None:
    _, old = put("reviews/i1/a.txt", b"Good"), put("reviews/i1/b.txt", b"Bad")
    os.utime(old, (0, 0))
    assert run(spark, documents_lake) == 2
    before = found(spark, documents_lake, "ingested_at")

    put("reviews/i1/a.txt", b"Very good")
    late = put("reviews/i1/c.txt", b"Copied with its old time")
    os.utime(late, (1, 1))
    os.utime(old, (2, 2))  # the same bytes again
    assert run(spark, documents_lake) == 2
    after = found(spark, documents_lake, "text")
    assert after == {"a.txt": "Very good", "b.txt": "Bad", "c.txt": "Copied with its old time"}
    times = found(spark, documents_lake, "ingested_at")
    assert times["b.txt"] == before["b.txt"]
    assert times["a.txt"] > before["a.txt"]
    assert found(spark, documents_lake, "modified_at")["b.txt"].timestamp() == 2
    assert run(spark, documents_lake) == 0


def test_row_of_a_removed_file_says_since_when(
    spark: SparkSession, documents_lake: Settings, put: Put
) -> None:
    gone, kept = put("reviews/i1/a.txt", b"Good"), put("reviews/i1/b.txt", b"Bad")
    stamp = gone.stat().st_mtime_ns
    assert run(spark, documents_lake) == 2
    first = found(spark, documents_lake, "ingested_at")["a.txt"]
    gone.unlink()
    for _ in range(2):  # the second pass leaves the time as it is
        assert run(spark, documents_lake) == 0
    assert version_of(spark, documents_lake, DOCUMENTS.name) == 2
    sql = "SELECT text, reference, removed_at > ingested_at FROM silver.documents ORDER BY name"
    assert [tuple(row) for row in query(spark, documents_lake, sql).collect()] == [
        ("Good", f"file:{gone}", True),
        ("Bad", f"file:{kept}", None),
    ]

    put("reviews/i1/a.txt", b"Good")
    os.utime(gone, ns=(stamp, stamp))
    assert run(spark, documents_lake) == 0, "these bytes were taken in before"
    assert found(spark, documents_lake, "removed_at") == {"a.txt": None, "b.txt": None}
    assert found(spark, documents_lake, "ingested_at")["a.txt"] == first

    other = documents_lake.documents.model_copy(update={"path": "documents/reviews"})
    assert run(spark, documents_lake.model_copy(update={"documents": other})) == 0
    elsewhere = documents_lake.documents.model_copy(update={"path": "landing"})
    assert run(spark, documents_lake.model_copy(update={"documents": elsewhere})) == 0
    assert found(spark, documents_lake, "removed_at") == {"a.txt": None, "b.txt": None}


def test_file_that_could_not_be_read_is_tried_again(
    spark: SparkSession, documents_lake: Settings, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("reviews/i1/a.txt", b"Good")
    gone = put("reviews/i1/gone.txt", b"Removed after it was listed")
    listing = pipelines.io.documents.listing

    def removing(*args: Any) -> Any:
        rows = listing(*args).localCheckpoint()
        gone.unlink()
        return rows

    monkeypatch.setattr(pipelines.io.documents, "listing", removing)
    assert run(spark, documents_lake) == 2
    assert found(spark, documents_lake, "text_reason") == {"a.txt": None, "gone.txt": "not_read"}
    monkeypatch.undo()
    stamp = read(spark, documents_lake, DOCUMENTS.name).where("name = 'gone.txt'").collect()[0]
    put("reviews/i1/gone.txt", b"Removed after it was listed")
    os.utime(gone, ns=(0, int(stamp["modified_at"].timestamp() * 1000) * 1_000_000))
    assert run(spark, documents_lake) == 1
    assert found(spark, documents_lake, "text_reason") == {"a.txt": None, "gone.txt": None}


def test_pass_that_dies_before_or_after_a_write_is_continued(
    spark: SparkSession, documents_lake: Settings, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = documents_lake.documents.model_copy(update={"max_files_per_batch": 1})
    settings = documents_lake.model_copy(update={"documents": one_by_one})
    texts = {name: f"text of {name}" for name in ("a.txt", "b.txt")}
    for name, text in texts.items():
        put(f"reviews/i1/{name}", text.encode())
    done: list[str] = []

    def dying(before: bool, at: int) -> Callable[..., None]:
        def write_or_die(*args: Any, **options: Any) -> None:
            if before and len(done) == at:
                raise KeyError("died before")
            write(*args, **options)
            done.append("batch")
            if not before and len(done) == at:
                raise KeyError("died after")

        return write_or_die

    for before, at in ((True, 1), (False, 2)):
        monkeypatch.setattr(pipelines.io.documents, "write", dying(before, at))
        with pytest.raises(KeyError):
            run(spark, settings)
    monkeypatch.undo()
    assert run(spark, settings) == 0, "both were taken in before"
    assert found(spark, settings, "text") == texts
    assert version_of(spark, settings, DOCUMENTS.name) == 2, "one commit each after the first"
