"""Files in a folder: each row once, numbered as in its file, and nothing broken goes unseen."""

import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from given import event
from landing import Landing, Landings
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.bronze.events import EVENTS
from pipelines.errors import SourceError
from pipelines.io.read import schema_of
from pipelines.registry import SILVER_EVENTS
from pipelines.silver.event import typed_events
from pipelines.silver.purchases import PURCHASES, purchases


def numbered(lines: list[bytes]) -> list[tuple[int, bytes]]:
    return list(enumerate(lines))


def lines(count: int, width: int = 40) -> list[bytes]:
    return [b'{"n":%0*d}' % (width, n) for n in range(count)]


def test_json_lines_are_numbered_as_in_their_file_however_it_is_read(
    landing: Landings, spark: SparkSession
) -> None:
    folder = landing("json")
    for number, count in enumerate((700, 3, 200)):
        folder.put(f"{number}.jsonl", b"\n".join(lines(count)) + b"\n")
    folder.put("deep/packed.jsonl.gz", gzip.compress(b"\n".join(lines(300))))
    folder.put("windows.json", b"\xef\xbb\xbf" + b"\r\n".join(lines(3)) + b"\r\n")
    folder.put("empty.jsonl", b"")
    folder.put("latin1", b'{"a":"\xe9"}\n\n{"b":1}')
    expected = {f"{n}.jsonl": numbered(lines(count)) for n, count in enumerate((700, 3, 200))}
    expected["packed.jsonl.gz"] = numbered(lines(300))
    expected["windows.json"] = numbered(lines(3))
    expected["latin1"] = numbered([b'{"a":"\xe9"}', b"", b'{"b":1}'])
    assert folder.take() == expected
    spark.conf.set("spark.sql.files.maxPartitionBytes", "1k")
    spark.conf.set("spark.sql.files.openCostInBytes", "1")
    try:
        assert folder.take("another checkpoint") == expected
    finally:
        spark.conf.unset("spark.sql.files.maxPartitionBytes")
        spark.conf.unset("spark.sql.files.openCostInBytes")
    assert folder.take() == {}


def test_file_that_is_still_written_is_taken_when_it_has_its_name_and_an_old_one_too(
    landing: Landings,
) -> None:
    folder = landing("json")
    names = ("a.jsonl.tmp", "b.part", "_c.jsonl", ".d.jsonl")
    written = [folder.put(name, lines(1)[0]) for name in names]
    for name in ("e.jsonl", "part", "tmp", "f.art", "g-tmp", "h.mp"):
        folder.put(name, lines(1)[0])
    assert folder.take().keys() == {"e.jsonl", "part", "tmp", "f.art", "g-tmp", "h.mp"}
    for number, file in enumerate(written):
        file.rename(file.with_name(f"done-{number}.jsonl"))
    os.utime(folder.folder / "done-3.jsonl", (0, 0))
    assert folder.take().keys() == {f"done-{number}.jsonl" for number in range(4)}


@pytest.mark.parametrize("damage", ["truncated", "no gzip"])
def test_damaged_file_is_named_and_taken_once_it_is_whole(landing: Landings, damage: str) -> None:
    folder, whole = landing("json"), gzip.compress(b"\n".join(lines(5000)), mtime=0)
    folder.put("good.jsonl", lines(1)[0])
    file = folder.put("bad one.jsonl.gz", whole[:-500] if damage == "truncated" else b"text" * 99)
    named = r"bronze: file:/\S*.*/bad one\.jsonl\.gz is damaged or incomplete; put a good file in"
    with pytest.raises(SourceError, match=named):
        folder.take()
    file.write_bytes(whole)
    assert {name: len(rows) for name, rows in folder.take().items()} == {
        "good.jsonl": 1,
        "bad%20one.jsonl.gz": 5000,
    }


@pytest.mark.parametrize(
    ("name", "file_format"), [("a.jsonl.gz", "json"), ("a.csv.gz", "csv"), ("a.parquet", "parquet")]
)
def test_empty_file_in_place_of_a_damaged_one_lets_the_stream_go_on(
    landing: Landings, name: str, file_format: str
) -> None:
    folder = landing(file_format)
    file = folder.put(name, b"neither gzip nor Parquet")
    with pytest.raises(SourceError, match=r"bronze: .*an empty one to go on without it"):
        folder.take()
    file.write_bytes(b"")
    assert folder.take() == {}


def test_silver_sees_the_same_event_in_every_format(spark: SparkSession, tmp_path: Path) -> None:
    given = event("purchase", 1)
    table = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist([given]), table)
    files = {
        "json": json.dumps(given).encode(),
        "csv": f"{','.join(given)}\n{','.join(map(str, given.values()))}\n".encode(),
        "parquet": table.getvalue().to_pybytes(),
    }
    rows = []
    for number, (file_format, content) in enumerate(files.items()):
        (tmp_path / file_format).mkdir()
        folder = Landing(spark, tmp_path / file_format, file_format)
        folder.put(f"a.{file_format}", content)
        (((_, payload),),) = folder.take().values()
        rows.append(("files", 0, number, payload, None))
    bronze = spark.createDataFrame(rows, schema_of(EVENTS))
    typed = typed_events(bronze, SILVER_EVENTS)
    assert [(r["table_name"], r["reasons"]) for r in typed.collect()] == [(PURCHASES.name, [])] * 3
    sales = purchases(typed).withColumn("attributes", F.to_json("attributes"))
    assert sales.drop("payload_hash", "source_offset").distinct().count() == 1
