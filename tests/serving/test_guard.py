"""Keys, scopes and rates, over real sockets and several processes."""

import json
import multiprocessing
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from shop import KINDS, assert_problem, publish

from pipelines.audit import FILE as AUDIT
from pipelines.errors import ConfigError
from pipelines.settings import load_settings
from serving import keys as keys_module
from serving.keys import MAX_KEYS, KeyRing, add_key, load_keys, revoke_key
from serving.lmdb_store import LmdbStore
from serving.rates import Rates
from serving.server import BackgroundServer
from serving.shared import Shared, shared

ITEM = "/v1/prices/i1"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "api-keys.json"


@pytest.fixture(scope="module")
def guarded(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = LmdbStore(tmp_path_factory.mktemp("guarded") / "online")
    publish(store, *KINDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys_module, "RELOAD_S", 0.0)
        background = BackgroundServer(store, common=Shared(keys=KeyRing(file)))
        with background as server, httpx.Client(base_url=server.url) as client:
            yield client
    store.close()


def new(file: Path, name: str, *scopes: str, **limits: Any) -> dict[str, str]:
    """The header with a new key."""
    wanted = {"rate": 1000.0, "burst": 1000, **limits}
    return {"authorization": f"Bearer {add_key(file, name, scopes, **wanted)}"}


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer lh_wrong"},
        {"authorization": "Basic lh_wrong"},
        {"x-api-key": "x" * 10_000},
    ],
)
def test_without_a_key_nothing_is_told(guarded: httpx.Client, header: dict[str, str]) -> None:
    for url in (ITEM, "/v1/views", "/metrics", "/nope"):
        answer = guarded.get(url, headers=header)
        assert_problem(answer, 401, "UNAUTHORIZED")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.post("/v1/events", headers=header, json={}).status_code == 401
    for url in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert guarded.get(url, headers=header).status_code == 200


def test_a_key_may_do_what_its_scopes_say(guarded: httpx.Client, file: Path) -> None:
    reader, sender = new(file, "reader", "read"), new(file, "sender", "events", "metrics")
    assert guarded.get(ITEM, headers=reader).status_code == 200
    alone = {"x-api-key": reader["authorization"].removeprefix("Bearer ")}
    assert guarded.get(ITEM, headers=alone).status_code == 200
    assert_problem(guarded.get(ITEM, headers=sender), 403, "FORBIDDEN")
    assert_problem(guarded.get("/metrics", headers=reader), 403, "FORBIDDEN")
    assert_problem(guarded.post("/v1/events", headers=reader, json={}), 403, "FORBIDDEN")
    assert guarded.get("/metrics", headers=sender).status_code == 200
    assert guarded.post("/v1/events", headers=sender, json={}).status_code == 422


def test_a_key_of_a_customer_reads_of_no_other(guarded: httpx.Client, file: Path) -> None:
    own = new(file, "c1", "read", customer="c1")
    for url in ("/v1/recommendations/c1", ITEM, ITEM + "?customer_id=c1", "/v1/items/i1/similar"):
        assert guarded.get(url, headers=own).status_code == 200
    others = ["/v1/recommendations/c2", "/v1/recommendations/c1/", "/v1/recommendations/c1%0A"]
    others += ["/v1/recommendations/%2E./c1", ITEM + "?customer_id=c1&customer_id=c2", "/v1/views"]
    for url in others:
        assert guarded.get(url, headers=own).status_code in (403, 422), url
    assert_problem(guarded.get("/v1/recommendations/c2", headers=own), 403, "FORBIDDEN")
    assert_problem(guarded.get("/v1/views/customer_profile", headers=own), 403, "FORBIDDEN")
    for scopes, customer in ((["read", "events"], "c3"), (["read"], "a b")):
        with pytest.raises(ConfigError, match="a customer's key has the scope read alone"):
            add_key(file, "c3", scopes, rate=1, burst=1, customer=customer)


def test_a_key_that_is_revoked_or_expired_is_refused(guarded: httpx.Client, file: Path) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    assert_problem(
        guarded.get(ITEM, headers=new(file, "old", "read", expires_at=past)), 401, "UNAUTHORIZED"
    )
    header = new(file, "gone", "read")
    assert guarded.get(ITEM, headers=header).status_code == 200
    revoke_key(file, "gone")
    assert_problem(guarded.get(ITEM, headers=header), 401, "UNAUTHORIZED")


def test_who_asks_too_often_is_told_when_to_come_again(guarded: httpx.Client, file: Path) -> None:
    slow = new(file, "slow", "read", rate=0.01, burst=3)
    other = new(file, "other", "read")
    statuses = [guarded.get(ITEM, headers=slow).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = guarded.get(ITEM, headers=slow)
    assert_problem(refused, 429, "TOO_MANY_REQUESTS")
    assert 90 <= int(refused.headers["retry-after"]) <= 100
    assert guarded.get(ITEM, headers=other).status_code == 200


def ask(rates: Rates, key: Any, told: Any) -> None:
    told.put(sum(rates.seconds_to_wait(key) == 0 for _ in range(400)))


def test_a_rate_holds_over_all_processes(tmp_path: Path) -> None:
    add_key(tmp_path / "keys", "k", ["read"], rate=0.001, burst=500)
    fork = multiprocessing.get_context("fork")
    rates, told, key = Rates(), fork.SimpleQueue(), load_keys(tmp_path / "keys")[0]
    processes = [fork.Process(target=ask, args=(rates, key, told)) for _ in range(3)]
    for process in processes:
        process.start()
    assert sum(told.get() for _ in processes) == 500
    for process in processes:
        process.join()


def test_the_file_holds_no_key_and_is_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    text = add_key(file, "k", ["read", "read"], rate=1, burst=1)
    assert text not in file.read_text() and text.removeprefix("lh_") not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert load_keys(file)[0].scopes == ("read",)


@pytest.mark.parametrize(
    ("name", "scopes", "limits", "says"),
    [
        ("k", ["read"], {}, "there is a key k already"),
        ("a b", ["read"], {}, "names no key"),
        ("new", [], {}, "needs scopes"),
        ("new", ["write"], {}, "needs scopes out of read, events, metrics, dashboard"),
        ("new", ["read"], {"rate": 0}, "above 0"),
        ("new", ["read"], {"rate": float("nan")}, "above 0"),
        ("new", ["read"], {"burst": 0}, "above 0"),
    ],
)
def test_what_is_no_key_is_refused(
    tmp_path: Path, name: str, scopes: list[str], limits: dict[str, Any], says: str
) -> None:
    file = tmp_path / "keys.json"
    add_key(file, "k", ["read"], rate=1, burst=1)
    with pytest.raises(ConfigError, match=says):
        add_key(file, name, scopes, **{"rate": 1.0, "burst": 1, **limits})
    with pytest.raises(ConfigError, match="there is no key 'none'"):
        revoke_key(file, "none")
    file.write_text("[{}]")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_keys(file)


def test_each_key_has_a_cell_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    for name in "abc":
        add_key(file, name, ["read"], rate=1, burst=1)
    revoke_key(file, "b")
    add_key(file, "d", ["read"], rate=1, burst=1)
    cells = {key.name: key.cell for key in load_keys(file)}
    assert cells == {"a": 0, "c": 2, "d": 1} and max(cells.values()) < MAX_KEYS


def test_who_asked_for_what_is_written_down_without_the_customer(tmp_path: Path) -> None:
    settings = load_settings(overrides={"root": str(tmp_path), "serving.require_keys": True})
    header = new(settings.api_keys, "app", "read")
    store = LmdbStore(tmp_path / "online")
    publish(store, *KINDS)
    common = shared(settings, is_local=True)
    with (
        BackgroundServer(store, common=common) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        client.get("/healthz")
        client.get("/v1/recommendations/c-secret", headers=header)
        client.get("/v1/prices/i1")
    store.close()
    told = [json.loads(line) for line in (settings.state / AUDIT).read_text().splitlines()]
    assert [(one["key"], one["route"], one["status"]) for one in told] == [
        ("app", "/v1/recommendations/{customer_id}", 200),
        (None, "other", 401),
    ]
    assert "c-secret" not in (settings.state / AUDIT).read_text()
