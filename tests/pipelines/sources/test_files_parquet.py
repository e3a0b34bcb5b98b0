"""Parquet rows as events: with the columns of their own file, and a damaged file is named."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from landing import Landings

from pipelines.errors import SourceError
from pipelines.sources.files_parquet import parquet_events


def test_parquet_rows_become_events_with_the_columns_of_their_own_file(
    landing: Landings,
) -> None:
    folder = landing("parquet")
    at = datetime(2017, 3, 1, 10, tzinfo=UTC)
    nested = [
        {"event_id": "1", "occurred_at": at, "attributes": {"tags": ["a", None], "n": 1}},
        {"event_id": "2", "occurred_at": None, "attributes": None},
    ]
    pq.write_table(pa.Table.from_pylist(nested), folder.folder / "a.parquet")
    other: dict[str, Any] = {"event_id": 3, "day": date(2017, 3, 1), "price": Decimal("1.50")}
    other["raw"] = "é".encode()
    pq.write_table(pa.Table.from_pylist([other]), folder.folder / "b.parquet")
    many = pa.table({"event_id": [str(n) for n in range(25_000)]})
    pq.write_table(many, folder.folder / "c.parquet", row_group_size=1000)
    found = folder.take()
    assert [json.loads(payload) for _, payload in found["a.parquet"]] == [
        {
            "event_id": "1",
            "occurred_at": "2017-03-01T10:00:00+00:00",
            "attributes": {"tags": ["a", None], "n": 1},
        },
        {"event_id": "2"},
    ]
    assert json.loads(found["b.parquet"][0][1]) == {
        "event_id": 3, "day": "2017-03-01", "price": "1.50", "raw": "é",
    }  # fmt: skip
    assert found["c.parquet"] == list(enumerate([b'{"event_id": "%d"}' % n for n in range(25_000)]))


def test_truncated_parquet_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    pq.write_table(pa.table({"event_id": ["1"] * 1000}), file)
    columns = [["s3a://shop/a.parquet"], [file.read_bytes()[:-20]], [datetime.now(UTC)]]
    batch = pa.RecordBatch.from_arrays(columns, names=["source", "payload", "produced_at"])
    with pytest.raises(SourceError, match=r"s3a://shop/a\.parquet is damaged or not a Parquet"):
        list(parquet_events([batch]))
