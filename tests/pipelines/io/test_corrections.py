"""A quarantine as lines of JSON: any bytes come back, and a malformed line is named."""

import json
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from pipelines import cli
from pipelines.errors import CorrectionError
from pipelines.io.corrections import read_corrections
from pipelines.io.read import schema_of, version_of
from pipelines.io.replay import replayable
from pipelines.io.write import write
from pipelines.registry import NAMES
from pipelines.settings import Settings


def test_export_changes_nothing_and_any_bytes_come_back(
    spark: SparkSession, lake: Settings, tmp_path: Path
) -> None:
    quarantine = replayable("items")
    payloads = [
        None, b"", b"\x00", b"\xff", b"\xed\xa0\x80", b"line\nline\r", b'"\\', b"{}" * 100_000,
        "\u2028\u202ee\u0301".encode(), "\U0001f6d2".encode(),
    ]  # fmt: skip
    rows = [(None, ["empty"], p, None, "s", 0, n) for n, p in enumerate(payloads)]
    write(spark.createDataFrame(rows, schema_of(quarantine)), lake, quarantine)
    before = {name: version_of(spark, lake, name) for name in NAMES}
    file = tmp_path / "items.jsonl"
    arguments = ["replay-quarantine", "items", "--root", lake.root, "--export", str(file)]
    said = CliRunner().invoke(cli.app, [*arguments, "--json"])
    assert json.loads(said.stdout)["exported"] == len(payloads)
    assert {name: version_of(spark, lake, name) for name in NAMES} == before
    read_back = read_corrections(file)
    assert [c.payload for c in read_back] == payloads
    assert [c.origin for c in read_back] == [("s", 0, n) for n in range(len(payloads))]


GOOD = '{"source": "s", "source_partition": 0, "source_offset": 1, "payload": "{}"}'


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "invalid JSON"),
        ("[]", "object"),
        (GOOD.replace('"source": "s", ', ""), "'source': missing"),
        (GOOD.replace("0,", '"0",'), "'source_partition': "),
        (GOOD.replace("1,", "-1,"), "'source_offset': "),
        (GOOD.replace("1,", "9223372036854775808,"), "'source_offset': "),
        (GOOD.replace("payload", "pay_load"), "'pay_load': unknown key"),
        (GOOD.replace('"{}"', "{}"), "'payload': "),
        (GOOD.replace('"{}"', '"\\ud800"'), "invalid JSON"),
        (GOOD.replace(', "payload": "{}"', ""), "needs either 'payload' or 'payload_base64'"),
        (GOOD[:-1] + ', "payload_base64": "e30="}', "either 'payload' or"),
        (GOOD.replace("payload", "payload_base64"), "not base64"),
        (GOOD.replace("{}", "x" * 2_000_000).replace("1,", "x,"), "invalid JSON"),
        ("\xff", "invalid JSON"),
        (GOOD, "corrects the row of line 1 again"),
    ],
)
def test_malformed_line_is_named_with_its_file_and_number(
    tmp_path: Path, line: str, says: str
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(f"{GOOD}\n\n".encode() + line.encode("latin-1") + b"\n")
    with pytest.raises(CorrectionError) as caught:
        read_corrections(file)
    message = str(caught.value)
    assert message.startswith(f"{file}:3: ")
    assert says in message
    assert "\n" not in message and len(message) < 400


def test_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorrectionError, match="nowhere: No such file"):
        read_corrections(tmp_path / "nowhere")
