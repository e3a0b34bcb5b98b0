"""What the sources keep under the lake: rows stay in their places, without the person."""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from pipelines.errors import SourceError
from pipelines.settings import Settings
from pipelines.sources.broker import LocalBroker
from pipelines.sources.forgotten import forget_landed, forget_topics
from pipelines.sources.topic import end_offsets, ensure_topic

WHO = "shopper-7f3a9c1e-0042"
OTHER = f"{WHO}9"


def landed(settings: Settings, name: str, content: bytes) -> Path:
    file = Path(settings.root) / "landing" / name
    file.write_bytes(content)
    os.utime(file, (1e9, 1e9))
    return file


def test_lines_lose_the_person_and_keep_their_places(lake: Settings) -> None:
    lines = [json.dumps({"customer_id": who, "n": n}) for n, who in enumerate((OTHER, WHO, "c"))]
    content = "\r\n".join(lines).encode() + b'\r\n{"not": "\xff utf8"}\n'
    file = landed(lake, "a.jsonl", content)
    packed = landed(lake, "b.jsonl.gz", gzip.compress(content))
    untouched = landed(lake, "c.jsonl", lines[0].encode())
    number = untouched.stat().st_ino
    assert forget_landed(lake, (WHO,)) == 2
    wanted = content.replace(f'"{WHO}"'.encode(), b"null")
    assert file.read_bytes() == gzip.decompress(packed.read_bytes()) == wanted
    assert file.stat().st_mtime == packed.stat().st_mtime == 1e9
    assert untouched.stat().st_ino == number  # not even written anew
    assert forget_landed(lake, (WHO,)) == 0


def test_records_of_csv_are_found_by_their_column_also_when_the_id_is_short(lake: Settings) -> None:
    rows = [
        ["event_id", "customer_id", "quantity", "note"],
        ["e1", "42", "42", "two\nlines, told"],
        ["e2", "421", "42", f"of {WHO}"],
        ["e3", "", "42", 'says "42"'],
    ]
    told = io.StringIO()
    csv.writer(told).writerows(rows)
    file = landed(lake, "a.csv", told.getvalue().encode())
    assert forget_landed(lake, ("42", WHO)) == 1
    found = list(csv.reader(io.StringIO(file.read_text(), newline="")))
    rows[1][1], rows[2][3] = "", "of erased"
    assert found == rows


def test_parquet_loses_the_person_and_keeps_its_rows(lake: Settings) -> None:
    table = pa.table(
        {"customer_id": [WHO, OTHER, None], "n": [1, 2, 3], "note": [f"{WHO}!", None, "c"]}
    )
    sink = io.BytesIO()
    pq.write_table(table, sink)
    file = landed(lake, "a.parquet", sink.getvalue())
    assert forget_landed(lake, (WHO,)) == 1
    found = pq.read_table(file)
    assert found.schema.equals(table.schema)
    assert found.to_pydict() == {
        "customer_id": [None, OTHER, None], "n": [1, 2, 3], "note": ["erased!", None, "c"],
    }  # fmt: skip


@pytest.mark.usefixtures("quick_java")
def test_our_own_broker_lets_go_of_what_bronze_holds_and_of_nothing_else(
    lake: Settings,
) -> None:
    topic, data = lake.source.kafka.topic, lake.state / "broker" / "data"

    def holds() -> bool:
        return any(WHO.encode() in file.read_bytes() for file in data.glob("*/*.log*"))

    assert forget_topics(lake, {}) == 0  # there is no broker yet
    with LocalBroker(lake.state) as broker:
        ensure_topic(broker.bootstrap_servers, topic, 1)
        producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
        for number in range(10):
            producer.produce(topic, f'{{"customer_id":"{WHO}","n":{number}}}')
        producer.flush(10)
    assert holds()
    with pytest.raises(SourceError, match="holds events that bronze lacks; run `lakehouse ingest`"):
        forget_topics(lake, {"0": 9})
    assert holds()
    assert forget_topics(lake, {"0": 10}) > 0
    assert not holds()
    with LocalBroker(lake.state) as broker:
        assert end_offsets(broker.bootstrap_servers, topic) == {"0": 10}
