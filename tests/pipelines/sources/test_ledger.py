"""The producer's ledger: what the broker acknowledged, in parts that memory can hold."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Message

from pipelines.sources import ledger
from pipelines.sources.ledger import _SCHEMA, Ledger, read_ledger, renew


def test_rows_go_into_a_part_whenever_there_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_PART_ROWS", 3)
    (tmp_path / "dataset").mkdir()
    rows = Ledger(tmp_path / "dataset")
    for offset in range(8):
        rows.on_delivery(None, Message(topic="t", partition=1, offset=offset, value=b"v"))
        rows.write_if_full()
    assert len(read_ledger(tmp_path)) == 2
    rows.write()
    rows.write()  # nothing is left
    parts = [pq.read_table(part)["offset"].to_pylist() for part in read_ledger(tmp_path)]
    assert parts == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert rows.acknowledged == 8


def test_digests_of_some_messages_of_a_topic_are_renewed(tmp_path: Path) -> None:
    for name, topic in (("a", "t"), ("b", "other")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "started.json").write_text(json.dumps({"topic": topic}))
        rows = {"partition": [0, 0, 1], "offset": [0, 1, 0], "digest": [b"old-0000"] * 3}
        pq.write_table(pa.table(rows, schema=_SCHEMA), tmp_path / name / "part-00000.parquet")
    new = pa.table({"partition": [0, 1], "offset": [1, 0], "digest": [b"new-0001", None]})
    given = new.cast(_SCHEMA)
    assert renew(tmp_path, "t", given) == 2
    assert renew(tmp_path, "t", given) == 0
    assert renew(tmp_path, "t", given.slice(0, 0)) == 0
    found = [pq.read_table(part).sort_by("offset").to_pylist() for part in read_ledger(tmp_path)]
    empty = hashlib.sha256(b"").digest()[:8]
    assert {(r["partition"], r["offset"]): r["digest"] for r in found[0]} == {
        (0, 0): b"old-0000", (0, 1): b"new-0001", (1, 0): empty,
    }  # fmt: skip
    assert {row["digest"] for row in found[1]} == {b"old-0000"}
