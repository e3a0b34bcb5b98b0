"""A scrape gets the state of every stream in the words of Prometheus."""

import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipelines.errors import ConfigError
from pipelines.metrics import serving_metrics
from pipelines.streams import StreamState, save_stream


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
        return str(reply.read().decode())


def test_each_scrape_tells_the_newest_state_of_every_stream(tmp_path: Path, port: int) -> None:
    save_stream(
        tmp_path,
        StreamState(
            "bronze", at=100.0, rows=70, rows_per_second=7.5, batch_seconds=0.5, lag=9,
            lag_unit="offsets",
        ),
    )  # fmt: skip
    outcomes = {"valid": 60, "rejected": 4, "duplicate": 3, "late": 2, "seen": 1}
    with serving_metrics(tmp_path, "127.0.0.1", port):
        assert 'lakehouse_stream_rows_total{stream="bronze"} 70.0' in scrape(port)
        save_stream(tmp_path, StreamState("silver", rows=70, outcomes=outcomes))
        text = scrape(port)
    families = {family.name: family for family in text_string_to_metric_families(text)}
    found = {
        (sample.name.removeprefix("lakehouse_stream_"), sample.labels["stream"]): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert found == {
        ("up", "bronze"): 1,
        ("up", "silver"): 1,
        ("progress_timestamp_seconds", "bronze"): 100,
        ("progress_timestamp_seconds", "silver"): 0,
        ("rows_per_second", "bronze"): 7.5,
        ("rows_per_second", "silver"): 0,
        ("batch_seconds", "bronze"): 0.5,
        ("batch_seconds", "silver"): 0,
        ("lag", "bronze"): 9,
        ("rows_total", "bronze"): 70,
        ("rows_total", "silver"): 70,
        **{(f"{name}_total", "silver"): count for name, count in outcomes.items()},
    }
    assert all(family.documentation for family in families.values())
    assert families["lakehouse_stream_rows"].type == "counter"
    assert families["lakehouse_stream_lag"].type == "gauge"
    assert families["lakehouse_stream_lag"].samples[0].labels["unit"] == "offsets"


def test_nothing_listens_once_the_block_has_ended(tmp_path: Path, port: int) -> None:
    with serving_metrics(tmp_path, "127.0.0.1", port):
        scrape(port)
    with pytest.raises(urllib.error.URLError):
        scrape(port)


def test_taken_port_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        says = f"cannot serve metrics on 127.0.0.1:{port}: .*; choose another port with --metrics"
        with pytest.raises(ConfigError, match=says), serving_metrics(tmp_path, "127.0.0.1", port):
            pass
