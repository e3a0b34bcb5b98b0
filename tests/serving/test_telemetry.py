"""Metrics with bounded labels, logs as JSON lines."""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from shop import KINDS, assert_problem, publish

from serving.lmdb_store import LmdbStore
from serving.server import BackgroundServer
from serving.shared import Shared
from serving.telemetry import Counts, log_to_stderr


@pytest.fixture
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = LmdbStore(tmp_path_factory.mktemp("measured") / "online")
    publish(store, *KINDS)
    background = BackgroundServer(store, common=Shared(access_log=True))
    with background as server, httpx.Client(base_url=server.url) as client:
        yield client
    store.close()


def scraped(client: httpx.Client) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_route_however_many_paths_there_are(
    measured: httpx.Client,
) -> None:
    for number in range(30):
        measured.get(f"/v1/prices/i{number}")
        measured.get(f"/made-up/{number}")
        measured.request("PURGE", "/healthz")
        assert_problem(measured.request(f"ODD{number}", "/healthz"), 400, "BAD_REQUEST")
    found = scraped(measured)
    requests = {key[1:]: n for key, n in found.items() if key[0] == "lakehouse_http_requests_total"}
    assert requests == {
        ("GET", "/v1/prices/{item_id}", "2xx"): 1,
        ("GET", "/v1/prices/{item_id}", "4xx"): 29,
        ("", "other", "4xx"): 60,
    }
    buckets = [
        value
        for key, value in found.items()
        if key[0] == "lakehouse_http_request_seconds_bucket" and "/v1/prices/{item_id}" in key
    ]
    assert buckets == sorted(buckets) and buckets[-1] == 30
    seconds = found[("lakehouse_http_request_seconds_sum", "GET", "/v1/prices/{item_id}")]
    assert 0 < seconds < 30


def test_what_the_store_holds_and_how_old_it_is_is_measured(measured: httpx.Client) -> None:
    found = scraped(measured)
    assert found[("lakehouse_store_entries", "top_sellers")] == 3
    assert found[("lakehouse_store_age_seconds", "prices")] > 0
    assert found[("lakehouse_store_degraded",)] == 0


def test_workers_are_counted_together() -> None:
    counts = Counts(2)
    for worker, status in ((0, 200), (1, 200), (1, 429), (0, 503)):
        counts.add(worker, 3, status, 0.003)
    assert counts.of(3)[:5] == [2, 0, 0, 1, 1]
    assert counts.of(2) == [0] * len(counts.of(2))


def test_a_request_is_one_line_of_json(
    measured: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines, written = io.StringIO(), threading.Event()
    monkeypatch.setattr(sys, "stderr", lines)
    monkeypatch.setattr(lines, "flush", written.set, raising=False)
    end = log_to_stderr()
    try:
        measured.get("/v1/prices/i1?region=north", headers={"x-request-id": "trace-1"})
        assert written.wait(10), "the line follows the answer"
        logging.getLogger("serving.edge").error('two\nlines "quoted"')
    finally:
        end()
    first, second = map(json.loads, lines.getvalue().splitlines())
    assert (first["request_id"], first["route"]) == ("trace-1", "/v1/prices/{item_id}")
    assert (first["method"], first["status"], first["key"]) == ("GET", 200, None)
    assert first["ms"] > 0 and "i1" not in json.dumps(first)
    assert (second["level"], second["message"]) == ("error", 'two\nlines "quoted"')
