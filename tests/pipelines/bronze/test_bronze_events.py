"""bronze.events keeps what the source delivered, byte for byte."""

from datetime import UTC, datetime

from expect import assert_rows
from pyspark.sql import SparkSession

from pipelines.bronze.events import EVENTS, events

DELIVERED = (
    "source STRING, source_partition INT, source_offset BIGINT, payload BINARY,"
    " produced_at TIMESTAMP, noise STRING"
)
AT = datetime(2017, 3, 1, 10, tzinfo=UTC)


def test_events_are_kept_byte_for_byte_with_their_origin(spark: SparkSession) -> None:
    payloads = [b'{"a": 1}', b"\x00\xff not JSON", b"", None]
    delivered = spark.createDataFrame(
        [("topic", 3, 70 + n, bytes_, AT, "x") for n, bytes_ in enumerate(payloads)], DELIVERED
    )
    made = events(delivered)
    assert tuple(made.columns) == EVENTS.columns
    assert_rows(
        made.selectExpr("*", "unix_seconds(produced_at) AS seconds"),
        [
            {
                "source": "topic",
                "source_partition": 3,
                "source_offset": 70 + n,
                "payload": None if bytes_ is None else bytearray(bytes_),
                "seconds": int(AT.timestamp()),
            }
            for n, bytes_ in enumerate(payloads)
        ],
    )


def test_lines_get_their_number_in_the_file_when_a_task_reads_one_file(
    spark: SparkSession,
) -> None:
    lines = spark.createDataFrame(
        [(f"{n % 3}.jsonl", 0, None, b"same line", None, "x") for n in range(30)], DELIVERED
    ).repartitionByRange(3, "source")
    found = sorted((row["source"], row["source_offset"]) for row in events(lines).collect())
    assert found == [(f"{file}.jsonl", number) for file in range(3) for number in range(10)]
