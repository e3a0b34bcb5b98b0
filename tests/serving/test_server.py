"""Every way to start the server, and every way not to."""

import ipaddress
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest
from shop import AT, RECOMMENDED, publish

from pipelines.errors import ConfigError, StoreError
from pipelines.settings import Settings, load_settings
from serving.keys import add_key
from serving.lmdb_store import LmdbStore
from serving.server import serve

EVERYWHERE = str(ipaddress.IPv4Address(0))


def with_host(tmp_path: Path, host: str = "127.0.0.1", port: int = 0) -> Settings:
    overrides = {"root": str(tmp_path), "serving.host": host, "serving.port": port}
    return load_settings(overrides=overrides)


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "", "192.168.0.1", "127.0.0.1.evil.com"])
def test_serve_without_keys_refuses_a_host_that_others_reach(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigError, match=r"no API keys; make one .* or bind to 127\.0\.0\.1"):
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


WORKERS = SERVE.replace("sys.argv[1]}", 'sys.argv[1], "serving.workers": 2, "serving.host": "::"}')


def test_workers_share_a_socket_keys_and_counts_and_are_replaced(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "_state" / "online", map_bytes=1 << 20)
    publish(store, "recommendations")
    store.close()
    key = add_key(
        tmp_path / "_state" / "api-keys.json", "k", ["read", "metrics"], rate=0.001, burst=40
    )
    header = {"authorization": f"Bearer {key}"}
    command = [sys.executable, "-c", WORKERS, str(tmp_path)]
    with (
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server,
        ExitStack() as until_done,
    ):
        until_done.callback(server.kill)
        assert server.stderr is not None
        told = server.stderr.readline()
        port = re.search(r"http://\[::\]:(\d+)", told)
        assert port, told + server.stderr.read()
        url = f"http://127.0.0.1:{port[1]}"
        workers = psutil.Process(server.pid).children()
        assert len(workers) == 2

        def get(path: str) -> httpx.Response:
            return httpx.get(url + path, headers=header)  # a connection of its own

        assert httpx.get(url + "/v1/recommendations/c1").status_code == 401
        workers[0].kill()
        until = time.monotonic() + 20
        while len(alive := set(psutil.Process(server.pid).children()) - {workers[0]}) < 2:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert workers[1] in alive
        statuses = [get("/v1/recommendations/c1").status_code for _ in range(38)]
        assert set(statuses) == {200}
        counted = get("/metrics").text
        assert 'route="/v1/recommendations/{customer_id}",status="2xx"} 38.0' in counted
        assert get("/v1/recommendations/c1").status_code == 200
        assert get("/v1/recommendations/c1").status_code == 429
        server.send_signal(signal.SIGTERM)
        assert server.wait(20) == -signal.SIGTERM
        assert psutil.wait_procs(list(alive), timeout=10)[1] == []
