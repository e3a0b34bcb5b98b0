"""CSV rows as events: by the header of their own file, and nothing broken goes unseen."""

import gzip
import json
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from landing import Landings

from pipelines.errors import SourceError
from pipelines.sources.files_csv import csv_events

HEADER = b"event_id,event_type,title,item_id"


def test_csv_rows_become_events_by_the_header_of_their_own_file(
    landing: Landings,
) -> None:
    folder = landing("csv")
    folder.put(
        "a.csv",
        b"\xef\xbb\xbf" + HEADER + b"\r\n"
        b'1,item_upsert,"two\r\nlines, ""quoted""",007\r\n'
        b"\r\n"
        b"2,click,,i2\r\n"
        b"3,click\r\n"
        b"4,click,t,i4,more\r\n"
        b"5,click,caf\xe9,i5\r\n" + "6,click,café,i6".encode(),
    )
    folder.put("b.csv.gz", gzip.compress(b"item_id,event_type,event_id\ni1,click,7\n"))
    folder.put("c.csv", HEADER)
    folder.put("d.csv", b"")
    found = folder.take()
    assert found.keys() == {"a.csv", "b.csv.gz"}
    first = [payload for _, payload in found["a.csv"]]
    assert [number for number, _ in found["a.csv"]] == list(range(6))
    common = {"event_type": "click"}
    assert json.loads(first[0]) == {
        "event_id": "1", "event_type": "item_upsert", "title": 'two\nlines, "quoted"',
        "item_id": "007",
    }  # fmt: skip
    assert json.loads(first[1]) == {"event_id": "2", "item_id": "i2", **common}
    assert first[2:5] == [b"3,click", b"4,click,t,i4,more", b"5,click,caf\xe9,i5"]
    assert json.loads(first[5]) == {"event_id": "6", "title": "café", "item_id": "i6", **common}
    assert json.loads(found["b.csv.gz"][0][1]) == {"event_id": "7", "item_id": "i1", **common}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"1,click,i1\n", "its header lacks event_id, event_type: '1,click,i1'; name the columns"),
        (HEADER.replace(b",", b";"), "its header lacks event_id, event_type"),
        (HEADER + b",title\n", "its header has an empty or a repeated name"),
        (HEADER + b",\n", "its header has an empty or a repeated name"),
        (HEADER + b'\n1,click,"open,i1\n2,click,t,i2', "line 3: unexpected end of data; mend"),
        (HEADER + b'\n1,click,"a"b,i1\n', "line 2: ',' expected after '\"'; mend its quotes"),
    ],
)
def test_broken_csv_names_the_file_and_what_to_do(content: bytes, said: str) -> None:
    split = content.split(b"\n")
    columns = [["s3a://shop/a.csv"] * len(split), split, [datetime.now(UTC)] * len(split)]
    batch = pa.RecordBatch.from_arrays(columns, names=["source", "payload", "produced_at"])
    with pytest.raises(SourceError) as caught:
        list(csv_events([batch]))
    assert f"s3a://shop/a.csv: {said}" in str(caught.value)


def test_csv_files_whose_lines_come_in_many_batches_keep_their_rows_together() -> None:
    content = [HEADER, *(b'%d,click,"a\nb",i' % n for n in range(5))]
    split = [line for row in content for line in row.split(b"\n")]
    files = [(name, line) for name in ("a.csv", "b.csv") for line in split]
    batches = [
        pa.RecordBatch.from_arrays(
            [[name], [line], [datetime.now(UTC)]], names=["source", "payload", "produced_at"]
        )
        for name, line in files
    ]
    rows = [row for batch in csv_events(batches) for row in batch.to_pylist()]
    assert [(row["source"], row["source_offset"]) for row in rows] == [
        (name, n) for name in ("a.csv", "b.csv") for n in range(5)
    ]
    assert all(json.loads(row["payload"])["title"] == "a\nb" for row in rows)
