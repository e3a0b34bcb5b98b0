"""`POST /v1/events` with a real broker, and every bad body."""

import gzip
import json
import socket
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer
from s3_server import free_ports
from shop import assert_problem

from pipelines.sources.connection import Kafka
from pipelines.sources.topic import end_offsets
from serving import events
from serving.lmdb_store import LmdbStore
from serving.sender import KafkaSender
from serving.server import BackgroundServer
from serving.shared import Shared

COMMON = {"occurred_at": "2026-01-02T03:04:05Z", "item_id": "i1", "region": "north"}
CLICK = {"event_type": "click", "session_id": "s1", **COMMON}
PURCHASE = {
    "event_type": "purchase",
    "basket_id": "b1",
    "quantity": 2,
    "price_cents": 199,
    "currency": "USD",
    **COMMON,
}


def with_ids(*events: dict[str, Any]) -> dict[str, Any]:
    return {"events": [{"event_id": str(uuid.uuid4()), **event} for event in events]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., httpx.Client]]:
    """A client of an API that sends to a broker."""
    store = LmdbStore(tmp_path_factory.mktemp("events") / "online")
    open_ones: list[Any] = []

    def start(sender: KafkaSender | None) -> httpx.Client:
        server = BackgroundServer(store, common=Shared(sender=sender)).__enter__()
        client = httpx.Client(base_url=server.url, timeout=30)
        open_ones.append((server, client))
        return client

    yield start
    for server, client in open_ones:
        client.close()
        server.__exit__(None, None, None)
    store.close()


@pytest.fixture(scope="module")
def topic() -> str:
    return f"events-{uuid.uuid4()}"


@pytest.fixture(scope="module")
def client(served: Callable[..., httpx.Client], broker: Kafka, topic: str) -> httpx.Client:
    kafka = broker.settings.source.kafka.model_copy(update={"topic": topic, "partitions": 1})
    return served(KafkaSender(kafka))


def in_topic(broker: Kafka, topic: str, count: int) -> list[tuple[bytes, dict[str, Any]]]:
    servers = broker.settings.source.kafka.bootstrap_servers
    reader = Consumer(
        {"bootstrap.servers": servers, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    reader.subscribe([topic])
    messages = reader.consume(count, timeout=20)
    reader.close()
    return [(message.key(), json.loads(message.value())) for message in messages]


def test_what_is_accepted_is_in_the_topic(client: httpx.Client, broker: Kafka, topic: str) -> None:
    first = with_ids(CLICK, {**PURCHASE, "coupon": {"code": "x"}})
    answer = client.post("/v1/events", json=first)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    servers = broker.settings.source.kafka.bootstrap_servers
    assert sum(end_offsets(servers, topic).values()) == 2
    zipped = gzip.compress(json.dumps(with_ids(*[CLICK] * 500)).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json; charset=utf-8"}
    answer = client.post("/v1/events", content=zipped, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 500})
    found = in_topic(broker, topic, 502)
    assert len(found) == 502
    assert found[:2] == [(b"i1", event) for event in first["events"]]


BAD: list[tuple[str, Any]] = [
    ("not JSON", b"{"),
    ("nothing", b""),
    ("not UTF-8", b'{"events": "\xff"}'),
    ("a list", []),
    ("no events", {"events": []}),
    ("501 events", with_ids(*[CLICK] * 501)),
    ("an unknown field", {**with_ids(CLICK), "more": 1}),
    ("no id", {"events": [CLICK]}),
    ("a wrong type", with_ids({**CLICK, "event_type": "price_change"})),
    ("no session", with_ids({**CLICK, "session_id": None})),
    ("a local time", with_ids({**CLICK, "occurred_at": "2026-01-02T03:04:05"})),
    ("a control character", with_ids({**CLICK, "region": "a\n"})),
    ("no quantity", with_ids({**PURCHASE, "quantity": 0})),
    ("a huge price", with_ids({**PURCHASE, "price_cents": 10**30})),
    ("NaN", json.dumps(with_ids({**CLICK, "x": float("nan")}))),
    ("1e309", json.dumps(with_ids({**CLICK, "x": "big"})).replace('"big"', "1e309")),
    ("a lone surrogate", with_ids({**CLICK, "item_id": "\ud800"})),
    ("a number of 5000 digits", b'{"events": ' + b"9" * 5000 + b"}"),
    ("depth", b'{"events": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
]


@pytest.mark.parametrize("body", [body for _, body in BAD], ids=[name for name, _ in BAD])
def test_a_bad_body_is_refused(client: httpx.Client, body: Any) -> None:
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    headers = {"content-type": "application/json"}
    answer = client.post("/v1/events", content=text, headers=headers)
    assert_problem(answer, 422, "INVALID_EVENTS")


def test_other_kinds_of_body_are_refused(client: httpx.Client) -> None:
    for kind in ("text/plain", "", "application/x-ndjson"):
        answer = client.post("/v1/events", content=b"{}", headers={"content-type": kind})
        assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    as_json = {"content-type": "application/json"}
    for coding in ("br", "gzip, gzip"):
        headers = {**as_json, "content-encoding": coding}
        answer = client.post("/v1/events", content=b"{}", headers=headers)
        assert_problem(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    large = client.post("/v1/events", content=b" " * (2 << 20), headers=as_json)
    assert_problem(large, 413, "PAYLOAD_TOO_LARGE")
    zipped = {**as_json, "content-encoding": "gzip"}
    bomb = gzip.compress(b" " * (200 << 20), 9)
    assert_problem(
        client.post("/v1/events", content=bomb, headers=zipped), 413, "PAYLOAD_TOO_LARGE"
    )
    answer = client.post("/v1/events", content=b"no gzip", headers=zipped)
    assert_problem(answer, 422, "INVALID_EVENTS")
    assert_problem(client.get("/v1/events"), 405, "METHOD_NOT_ALLOWED")


def test_a_body_that_does_not_come_is_not_waited_for(
    served: Callable[..., httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BODY_S", 0.2)
    url = served(None).base_url
    with socket.create_connection((url.host, url.port or 0)) as slow:
        slow.sendall(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        assert b" 408 " in slow.makefile("rb").readline()


def test_without_a_broker_nothing_is_accepted(
    served: Callable[..., httpx.Client], broker: Kafka, tmp_path: Path
) -> None:
    assert_problem(served(None).post("/v1/events", json=with_ids(CLICK)), 503, "NOT_READY")
    gone = {"bootstrap_servers": f"127.0.0.1:{free_ports(1)[0]}"}
    kafka = broker.settings.source.kafka.model_copy(update=gone)
    without = served(KafkaSender(kafka))
    assert without.post("/v1/events", json=with_ids(CLICK)).status_code == 503
    answer = without.post("/v1/events", json=with_ids(CLICK))
    assert answer.elapsed.total_seconds() < 5  # it does not try again at once
    problem = assert_problem(answer, 503, "BROKER_UNAVAILABLE")
    assert "127.0.0.1" not in problem["detail"] and "send them again" in problem["detail"]
