import contextlib
import re
import socket

import httpx
import pytest
from shop import assert_problem


def test_a_foreign_host_name_is_refused(client: httpx.Client) -> None:
    url = "/v1/recommendations/c1"
    assert_problem(client.get(url, headers={"host": "evil.example"}), 400, "INVALID_HOST")
    assert client.get(url, headers={"host": "localhost:80"}).status_code == 200


@pytest.mark.parametrize(
    ("given", "kept"), [("trace-1", True), ("x" * 129, False), ("a b", False), ("", False)]
)
def test_the_request_id_is_echoed_or_made(client: httpx.Client, given: str, kept: bool) -> None:
    for url in ("/healthz", "/nope", "/v1/prices/*"):
        answered = client.get(url, headers={"x-request-id": given}).headers["x-request-id"]
        assert answered == given if kept else re.fullmatch("[0-9a-f]{32}", answered)


def test_http_1_0_without_a_host_is_answered(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as raw:
        raw.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 OK" in raw.makefile("rb").readline()


def test_headers_that_do_not_end_close_the_connection(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as raw:
        raw.settimeout(10)
        raw.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ")
        told = b""
        with contextlib.suppress(ConnectionError):  # it may be closed while we still send
            for _ in range(64):
                raw.sendall(b"x" * 4096)
            told = raw.makefile("rb").readline()
        assert told in (b"HTTP/1.1 400 Bad Request\r\n", b"")


def test_long_requests_on_one_connection_are_each_answered(client: httpx.Client) -> None:
    for _ in range(4):
        assert client.get("/healthz", headers={"x": "x" * 40_000}).status_code == 200
