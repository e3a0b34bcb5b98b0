"""The producer's ledger: what the broker acknowledged, in parts that memory can hold."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from confluent_kafka import Message

from pipelines.sources import ledger
from pipelines.sources.ledger import Ledger, read_ledger


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
