"""The HTTP API over real sockets: every endpoint, every bad input, every way not to start."""

import ipaddress
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from pipelines.errors import ConfigError, StoreError
from pipelines.settings import Settings, load_settings
from serving import api
from serving.online import Answer, LmdbStore, OnlineStore
from serving.server import BackgroundServer, serve

EVERYWHERE = str(ipaddress.IPv4Address(0))
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ITEM: dict[str, Any] = {
    "title": "Oat milk",
    "category": "DAIRY",
    "score": 0.5,
    "reason": "often bought together",
}
RECOMMENDED: dict[str, Any] = {"items": [{"item_id": f"i{i}", **ITEM} for i in range(20)]}
POPULAR: dict[str, Any] = {"items": [{"item_id": f"p{i}", **ITEM} for i in range(20)]}
SELLER = {"item_id": "i1", "title": "Oat milk", "units": 7, "revenue_cents": 1393}
PRICE = {"price_cents": 199, "currency": "USD", "changed_at": "2026-01-01T00:00:00Z"}
LEVEL = {"quantity": 12, "changed_at": "2026-01-01T00:00:00Z"}
KINDS: dict[str, list[tuple[str, Any]]] = {
    "recommendations": [("c1", RECOMMENDED)],
    "popular": [("all", POPULAR)],
    "similar": [("i1", RECOMMENDED)],
    "top_sellers": [
        ("*|*", {"items": [SELLER] * 3, "date": "2026-01-01"}),
        ("FRZN FRUITS/VEG|*", {"items": [SELLER] * 2, "date": "2026-01-01"}),
        ("FRZN FRUITS/VEG|north", {"items": [SELLER], "date": "2026-01-01"}),
    ],
    "prices": [("i1", {"prices": [{"region": r, **PRICE} for r in ("north", "south")]})],
    "inventory": [("i1", {"levels": [{"region": r, **LEVEL} for r in ("north", "south")]})],
}


def publish(store: OnlineStore, *kinds: str) -> None:
    for kind in kinds:
        store.publish(kind, KINDS[kind], version=f"v-{kind}", published_at=AT)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = LmdbStore(tmp_path_factory.mktemp("full") / "online")
    publish(store, *KINDS)
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        yield client
    store.close()


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[LmdbStore, httpx.Client]]:
    store = LmdbStore(tmp_path / "online")
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        yield store, client
    store.close()


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert list(problem) == ["type", "title", "status", "detail", "code", "request_id"]
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == response.headers["x-request-id"]
    assert not re.search(r"Traceback|\.py|/srv|/work", response.text)
    return problem


# --- answers ------------------------------------------------------------------------------

ANSWERS: list[tuple[str, type[BaseModel], dict[str, Any]]] = [
    (
        "/v1/recommendations/c1?k=3",
        api.Recommendations,
        {
            "customer_id": "c1",
            "items": RECOMMENDED["items"][:3],
            "fallback": False,
            "model_version": "v-recommendations",
        },
    ),
    (
        "/v1/recommendations/nobody",
        api.Recommendations,
        {
            "customer_id": "nobody",
            "items": POPULAR["items"][:10],
            "fallback": True,
            "model_version": "v-popular",
        },
    ),
    (
        "/v1/items/i1/similar?k=100",
        api.SimilarItems,
        {"item_id": "i1", "items": RECOMMENDED["items"], "model_version": "v-similar"},
    ),
    (
        "/v1/top-sellers?k=2",
        api.TopSellers,
        {"category": "*", "region": "*", "date": "2026-01-01", "items": [SELLER] * 2},
    ),
    (
        "/v1/top-sellers?category=FRZN%20FRUITS/VEG&region=",
        api.TopSellers,
        {
            "category": "FRZN FRUITS/VEG",
            "region": "*",
            "date": "2026-01-01",
            "items": [SELLER] * 2,
        },
    ),
    (
        "/v1/top-sellers?category=FRZN%20FRUITS/VEG&region=north",
        api.TopSellers,
        {
            "category": "FRZN FRUITS/VEG",
            "region": "north",
            "date": "2026-01-01",
            "items": [SELLER],
        },
    ),
    (
        "/v1/prices/i1",
        api.Prices,
        {"item_id": "i1", "prices": [{"region": r, **PRICE} for r in ("north", "south")]},
    ),
    (
        "/v1/prices/i1?region=south",
        api.Prices,
        {"item_id": "i1", "prices": [{"region": "south", **PRICE}]},
    ),
    (
        "/v1/inventory/i1?region=north",
        api.Inventory,
        {"item_id": "i1", "levels": [{"region": "north", **LEVEL}]},
    ),
    ("/v1/inventory/i1?region=nowhere", api.Inventory, {"item_id": "i1", "levels": []}),
]


@pytest.mark.parametrize(("url", "model", "expected"), ANSWERS, ids=[a[0] for a in ANSWERS])
def test_answers_are_what_was_published(
    client: httpx.Client, url: str, model: type[BaseModel], expected: dict[str, Any]
) -> None:
    response = client.get(url)
    assert response.status_code == 200, response.text
    body = response.json()
    assert body.pop("as_of") == "2026-01-02T03:04:05Z"
    if "model_version" not in expected:
        kind = url.split("/")[2].split("?")[0].replace("-", "_")
        assert body.pop("version") == f"v-{kind}"
    assert body == expected
    documented = model.model_json_schema()["properties"]
    assert set(response.json()) == set(documented)
    model.model_validate_json(response.text)


def test_health_and_readiness(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready["status"] == "ready" and set(ready["kinds"]) == set(KINDS)
    assert ready["kinds"]["top_sellers"] == {
        "version": "v-top_sellers",
        "as_of": "2026-01-02T03:04:05Z",
        "entries": 3,
    }


def test_docs_list_every_operation_and_load_nothing(client: httpx.Client) -> None:
    assert client.get("/").headers["location"] == "/docs"
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    described = client.get("/openapi.json").json()
    assert len(described["paths"]) == 7
    for path, methods in described["paths"].items():
        assert f"<h2>GET {path}</h2>" in page.text
        assert "422" not in methods["get"]["responses"] or (
            "application/problem+json" in methods["get"]["responses"]["422"]["content"]
        )
    assert not re.search(r"<script|https?://|src=|url\(|@import", page.text)
    assert '<html lang="en">' in page.text and "color-scheme: light dark" in page.text


def test_the_docs_page_escapes_what_it_shows() -> None:
    text = {"description": "<b>", "parameters": []}
    page = api.docs_page({"info": {"title": "<i>"}, "paths": {"/<x>": {"get": text}}})
    assert not re.search("<b>|<i>|<x>", page)


def test_a_new_version_is_served_at_once(empty: tuple[LmdbStore, httpx.Client]) -> None:
    store, client = empty
    publish(store, "recommendations")
    assert client.get("/v1/recommendations/c1").json()["model_version"] == "v-recommendations"
    store.publish("recommendations", [("c1", POPULAR)], version="v2", published_at=AT)
    assert client.get("/v1/recommendations/c1").json()["model_version"] == "v2"


# --- bad inputs ---------------------------------------------------------------------------

BAD_IDS = ["", "a/b", "..%2F..%2Fetc", "a%00", "a%0A", "a%0D%0ADEL", "*", "a%20b", "%D0%B0", "%FF"]
BAD_IDS += ["x" * 129, "x" * 10_000, "a%3Fb", "<script>"]


@pytest.mark.parametrize("bad", BAD_IDS, ids=lambda bad: bad[:12] or "empty")
@pytest.mark.parametrize(
    "route",
    ["/v1/recommendations/{}", "/v1/items/{}/similar", "/v1/prices/{}", "/v1/inventory/{}"],
)
def test_a_bad_id_is_invalid(client: httpx.Client, route: str, bad: str) -> None:
    problem = assert_problem(client.get(route.format(bad)), 422, "INVALID_ID")
    assert "1 to 128" in problem["detail"]


@pytest.mark.parametrize("k", ["0", "-1", "101", "1e9", "abc", "NaN", "", "1.5", "9" * 5000])
@pytest.mark.parametrize("route", ["recommendations/c1", "items/i1/similar", "top-sellers"])
def test_a_bad_limit_names_the_maximum(client: httpx.Client, route: str, k: str) -> None:
    problem = assert_problem(client.get(f"/v1/{route}?k={k}"), 422, "INVALID_LIMIT")
    assert "1 to 100" in problem["detail"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("/v1/top-sellers?category=a|b", "INVALID_CATEGORY"),
        ("/v1/top-sellers?category=a%0Ab", "INVALID_CATEGORY"),
        ("/v1/top-sellers?category=" + "x" * 129, "INVALID_CATEGORY"),
        ("/v1/top-sellers?region=a|b", "INVALID_REGION"),
        ("/v1/prices/i1?region=no%20where", "INVALID_REGION"),
        ("/v1/inventory/i1?region=%00", "INVALID_REGION"),
    ],
)
def test_a_bad_filter_is_invalid(client: httpx.Client, url: str, code: str) -> None:
    assert_problem(client.get(url), 422, code)


@pytest.mark.parametrize(
    "url",
    [
        "/v1/items/i9/similar",
        "/v1/prices/i9",
        "/v1/inventory/i9",
        "/v1/top-sellers?category=none",
        "/nope",
        "/v1/",
        "/healthz/",
        "/v1/items/i1",
    ],
)
def test_what_does_not_exist_is_not_found(client: httpx.Client, url: str) -> None:
    assert_problem(client.get(url), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_not_allowed(client: httpx.Client, method: str) -> None:
    response = client.request(method, "/v1/recommendations/c1", content=b"x")
    assert_problem(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET"


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


def test_many_requests_at_once_are_all_answered(client: httpx.Client) -> None:
    with ThreadPoolExecutor(16) as pool:
        statuses = pool.map(
            lambda i: client.get(f"/v1/recommendations/c{i % 3}").status_code, range(300)
        )
        assert set(statuses) == {200}


def test_a_kept_connection_answers_without_delay(client: httpx.Client) -> None:
    url = "/v1/recommendations/c1"
    times = sorted(client.get(url).elapsed.total_seconds() for _ in range(20))
    assert times[10] < 0.03  # 0.044 where TCP_NODELAY is not set


def test_http_1_0_without_a_host_is_answered(client: httpx.Client) -> None:
    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as raw:
        raw.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b" 200 OK" in raw.makefile("rb").readline()


# --- not ready, broken --------------------------------------------------------------------


def test_an_empty_store_is_alive_but_not_ready(empty: tuple[LmdbStore, httpx.Client]) -> None:
    store, client = empty
    assert client.get("/healthz").status_code == 200
    for url in ("/readyz", "/v1/recommendations/c1", "/v1/prices/i1", "/v1/top-sellers"):
        assert "publish" in assert_problem(client.get(url), 503, "NOT_READY")["detail"]
    publish(store, "popular")
    assert client.get("/v1/recommendations/c1").json()["fallback"] is True
    assert_problem(client.get("/readyz"), 503, "NOT_READY")
    publish(store, "recommendations")
    assert client.get("/readyz").status_code == 200


class BrokenStore(LmdbStore):
    """A store whose reads fail with a given error."""

    error: Exception

    def __init__(self, error: Exception) -> None:
        self.error = error

    def get(self, kind: str, key: str) -> Answer | None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StoreError("/srv/secret: damaged"), 503, "STORE_UNAVAILABLE"),
        (RuntimeError("/srv/secret.py"), 500, "INTERNAL"),
    ],
)
def test_failures_never_show_their_inside(
    error: Exception, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with BackgroundServer(BrokenStore(error)) as server:
        response = httpx.get(server.url + "/v1/recommendations/c1")
    problem = assert_problem(response, status, code)
    assert "secret" not in response.text
    assert problem["request_id"] in caplog.text and "secret" in caplog.text


# --- the server ---------------------------------------------------------------------------


def with_host(tmp_path: Path, host: str = "127.0.0.1", port: int = 0) -> Settings:
    overrides = {"root": str(tmp_path), "serving.host": host, "serving.port": port}
    return load_settings(overrides=overrides)


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "", "192.168.0.1", "127.0.0.1.evil.com"])
def test_serve_refuses_a_host_that_others_reach(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match="no authentication yet; bind to"):
        serve(with_host(tmp_path, host))


def test_serve_names_a_taken_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127.0.0.1:{port}: the port is taken") as caught:
            serve(with_host(tmp_path), port=port)
    assert "\n" not in str(caught.value)


def test_serve_without_a_store_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="run `lakehouse demo` or `lakehouse publish` first"):
        serve(with_host(tmp_path))
    assert not (tmp_path / "_state").exists()


SERVE = """
import sys
from pipelines.settings import load_settings
from serving.server import serve
heavy = {"pyspark", "mlflow", "cloudpickle", "pandas", "delta"} & set(sys.modules)
assert not heavy, heavy
serve(load_settings(overrides={"root": sys.argv[1]}), port=0)
"""


def test_serve_in_a_light_process_sees_what_another_publishes(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "_state" / "online", map_bytes=1 << 20)
    publish(store, "recommendations")
    command = [sys.executable, "-c", SERVE, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        told = server.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", told)
        assert found, told + server.stderr.read()
        url = found[0] + "/v1/recommendations/"
        assert httpx.get(url + "c1").json()["model_version"] == "v-recommendations"
        entries = [(f"c{i}", RECOMMENDED) for i in range(5000)]  # 10 MB, beyond both maps
        store.publish("recommendations", entries, version="v2", published_at=AT)
        answer = httpx.get(url + "c4999").json()
        assert (answer["model_version"], answer["fallback"]) == ("v2", False)
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) == -signal.SIGTERM
        assert server.stderr.read() == ""
    store.close()


def test_openapi_is_json_of_all_answers(client: httpx.Client) -> None:
    schemas = json.loads(client.get("/openapi.json").text)["components"]["schemas"]
    assert {"Recommendations", "SimilarItems", "TopSellers", "Prices", "Inventory"} <= set(schemas)
