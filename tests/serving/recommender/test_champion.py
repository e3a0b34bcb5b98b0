"""A new champion is loaded while requests run; a damaged one is refused and the last one stays."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import httpx
import numpy as np
import pytest
from given_model import AT, HISTORY, release, some_model

from serving.live_values import PRICES, STOCK, with_price
from serving.lmdb_store import LmdbStore
from serving.recommender.champion import Champion, history_of
from serving.server import BackgroundServer
from serving.times import microseconds


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LmdbStore]:
    opened = LmdbStore(tmp_path / "online")
    opened.publish("histories", [("c1", HISTORY)], version="1", published_at=AT)
    yield opened
    opened.close()


def test_the_model_that_the_store_names_is_loaded_once(store: LmdbStore, tmp_path: Path) -> None:
    champion = Champion(store, tmp_path)
    assert champion.current is None and champion.version is None
    release(store, tmp_path, "1", seed=1)
    assert champion.refresh() and champion.version == "1"
    assert not champion.refresh()
    release(store, tmp_path, "2", seed=2)
    assert champion.refresh() and champion.version == "2"


def test_a_damaged_model_is_refused_and_the_last_good_one_answers(
    store: LmdbStore, tmp_path: Path
) -> None:
    release(store, tmp_path, "1", seed=1)
    champion = Champion(store, tmp_path)
    digest = some_model(2).save(tmp_path / "2")
    np.save(tmp_path / "2" / "leaves.npy", np.zeros((6, 8), np.float32))
    entry = {"folder": "2", "digest": digest, "model_version": "2"}
    store.publish("model", [("current", entry)], version="2", published_at=AT)
    assert not champion.refresh()
    assert champion.version == "1" and "leaves.npy: its digest differs" in champion.refused
    with BackgroundServer(store, champion=champion) as server:
        answer = httpx.get(server.url + "/v1/recommendations/c1").json()
    assert answer["model_version"] == "1" and answer["items"]
    release(store, tmp_path, "2", seed=2)
    assert champion.refresh() and champion.refused == ""


def test_no_request_is_dropped_while_champions_change(store: LmdbStore, tmp_path: Path) -> None:
    release(store, tmp_path, "0", seed=1)
    champion = Champion(store, tmp_path)
    seen: set[str] = set()
    codes: list[int] = []
    stop = threading.Event()

    def ask(url: str) -> None:
        with httpx.Client() as client:
            while not stop.is_set():
                answer = client.get(url)
                codes.append(answer.status_code)
                seen.add(answer.json()["model_version"])

    with BackgroundServer(store, champion=champion) as server:
        asking = [
            threading.Thread(target=ask, args=(server.url + "/v1/recommendations/c1",))
            for _ in range(2)
        ]
        for thread in asking:
            thread.start()
        for number in range(1, 6):
            release(store, tmp_path, str(number), seed=number)
            assert champion.refresh()
            deadline = monotonic() + 20
            while str(number) not in seen and monotonic() < deadline:
                sleep(0.002)  # two clients ask without a pause; this thread only looks on
        stop.set()
        for thread in asking:
            thread.join()
    assert {str(number) for number in range(1, 6)} <= seen
    assert codes and set(codes) == {200}


def test_a_published_history_is_read_by_the_numbers_of_the_model() -> None:
    found = history_of(some_model(), HISTORY)
    assert found.items.tolist() == [1, 3] and found.baskets.tolist() == [1, 2]
    assert (found.visits, found.region) == (4, 1)
    shuffled = some_model()
    other = replace(shuffled, item_ids=shuffled.item_ids[::-1].copy())
    again = history_of(other, HISTORY)
    assert again.items.tolist() == [36, 38] and again.baskets.tolist() == [2, 1]
    nowhere = history_of(some_model(), HISTORY | {"region": None, "items": ["x", "y", "z"]})
    assert nowhere.region == -1 and len(nowhere.items) == 0


def test_the_api_reads_models_without_mlflow_spark_or_pickle() -> None:
    code = (
        "import sys, serving.server; "
        "print([m for m in ('mlflow', 'pyspark', 'cloudpickle') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_items_without_a_category_do_not_stand_for_all(store: LmdbStore, tmp_path: Path) -> None:
    model = replace(some_model(1), categories=np.array(["dairy", "bakery", "tools", ""]))
    entry = {"folder": "1", "digest": model.save(tmp_path / "1"), "model_version": "1"}
    store.publish("model", [("current", entry)], version="1", published_at=AT)
    with BackgroundServer(store, champion=Champion(store, tmp_path)) as server:
        url = server.url + "/v1/recommendations/c1?k=20"
        everything = httpx.get(url).json()["items"]
        assert httpx.get(url + "&category=*").json()["items"] == everything
    codes = [model.code_of[item["item_id"]] for item in everything]
    assert len(everything) == 20 and len({int(model.category[code]) for code in codes}) > 1


def test_price_and_stock_are_asked_of_what_reactions_have_learned(
    store: LmdbStore, tmp_path: Path
) -> None:
    release(store, tmp_path, "1", seed=1)
    url = "/v1/recommendations/c1?k=20&region=north"
    with BackgroundServer(store, champion=Champion(store, tmp_path)) as server:
        everything = [item["item_id"] for item in httpx.get(server.url + url).json()["items"]]
        cheap, dear, *_ = everything
        price = {"region": "north", "currency": "USD", "changed_at": "2017-12-01T00:00:00Z"}
        level = {"region": "north", "changed_at": "2017-12-01T00:00:00Z"}
        prices = [(item, {"prices": [price | {"price_cents": 500}]}) for item in everything]
        levels = [(item, {"levels": [level | {"quantity": 2}]}) for item in everything]
        store.publish("prices", prices, version="1", published_at=AT)
        store.publish("inventory", levels, version="1", published_at=AT)
        at = microseconds(AT)
        store.update(PRICES, {cheap: with_price(None, "north", (at, "e1"), 90, "USD")}, at=AT)
        store.update(STOCK, {dear: {"moves": [(at, "e2", "north", -2, 0)]}}, at=AT)
        found = httpx.get(server.url + url + "&max_price_cents=100").json()["items"]
        assert [item["item_id"] for item in found] == [cheap]
        found = httpx.get(server.url + url + "&in_stock=true").json()["items"]
        assert dear not in [item["item_id"] for item in found] and len(found) > 10
