"""The readers of Kinesis behind one setting, and what each is told."""

from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.errors import SourceError
from pipelines.settings import load_settings
from pipelines.sources.kinesis import native_events, reader_options
from pipelines.sources.kinesis_api import Kinesis
from pipelines.sources.stream import source_name
from pipelines.table import ORIGIN


def test_without_credentials_or_service_the_error_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SourceError, match="no AWS credentials were found; set AWS_PROFILE"):
        Kinesis("s", "eu-west-1", "http://127.0.0.1:9").describe()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(SourceError, match="cannot be reached: Could not connect"):
        Kinesis("s", "eu-west-2", "http://127.0.0.1:9").describe()


def test_options_of_the_platforms_readers_follow_from_the_same_settings() -> None:
    kinesis = load_settings().source.kinesis.model_copy(
        update={"stream": "shop", "region": "eu-west-1", "max_records_per_trigger": 5000}
    )
    assert reader_options(kinesis.model_copy(update={"reader": "databricks"})) == {
        "streamName": "shop",
        "region": "eu-west-1",
        "initialPosition": "trim_horizon",
        "fetchBufferSize": "5120000b",
    }
    own = kinesis.model_copy(update={"reader": "databricks", "endpoint_url": "https://vpce"})
    assert reader_options(own)["endpoint"] == "https://vpce"
    assert reader_options(kinesis.model_copy(update={"reader": "emr"})) == {
        "kinesis.streamName": "shop",
        "kinesis.region": "eu-west-1",
        "kinesis.endpointUrl": "https://kinesis.eu-west-1.amazonaws.com",
        "kinesis.startingPosition": "TRIM_HORIZON",
        "kinesis.failOnDataLoss": "true",
        "kinesis.maxFetchRecordsPerShard": "5000",
    }


@pytest.mark.parametrize(
    ("columns", "partition"),
    [(("stream", "shardId"), 7), (("streamName",), 0)],
    ids=["databricks", "emr"],
)
def test_platforms_readers_give_the_columns_of_bronze_and_a_key_of_each_record(
    spark: SparkSession, columns: tuple[str, ...], partition: int
) -> None:
    values = {
        "data": F.lit(b"{}"),
        "stream": F.lit("shop"),
        "streamName": F.lit("shop"),
        "shardId": F.lit("shardId-000000000007"),
        "partitionKey": F.lit("k"),
        "sequenceNumber": F.concat(F.lit("49590338271490256608559692538361571095921575"), "id"),
        "approximateArrivalTimestamp": F.lit("2017-03-01 10:00:00").cast("timestamp"),
    }
    common = ("data", "partitionKey", "sequenceNumber", "approximateArrivalTimestamp")
    names = (*common, *columns)
    records = spark.range(3).select(*(values[name].alias(name) for name in names))
    found = native_events(records)
    assert [field.simpleString() for field in found.schema] == [
        "source:string",
        "source_partition:int",
        "source_offset:bigint",
        "payload:binary",
        "produced_at:timestamp",
    ]
    assert found.select(*ORIGIN).distinct().count() == 3
    assert {row["source_partition"] for row in found.collect()} == {partition}


def test_progress_is_kept_under_the_streams_name() -> None:
    given = {"source.kind": "kinesis", "source.kinesis.stream": "shop"}
    assert source_name(load_settings(overrides=given)) == "shop"
