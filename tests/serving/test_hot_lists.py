"""Hot lists from a real topic to the API, over restarts and resends."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from given import event
from quick_java import QUICK_JAVA
from shop import KINDS, SELLER, publish

from pipelines.errors import ConfigError
from pipelines.settings import Settings, load_settings
from pipelines.sources.broker import LocalBroker
from pipelines.sources.connection import Kafka
from pipelines.sources.topic import ensure_topic
from serving import hot_lists
from serving.hot_answers import PULSE, SELLERS, TRENDING
from serving.hot_lists import run_hot_lists
from serving.lmdb_store import LmdbStore
from serving.online import OnlineStore
from serving.server import BackgroundServer

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def settings(broker: Kafka) -> Settings:
    """A topic of its own."""
    kafka = broker.settings.source.kafka.model_copy(update={"topic": f"hot-{uuid.uuid4()}"})
    source = broker.settings.source.model_copy(update={"kafka": kafka})
    ensure_topic(kafka.bootstrap_servers, kafka.topic, kafka.partitions)
    return broker.settings.model_copy(update={"source": source})


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[LmdbStore, httpx.Client]]:
    store = LmdbStore(tmp_path / "online")
    publish(store, *KINDS)
    with BackgroundServer(store) as server, httpx.Client(base_url=server.url) as client:
        yield store, client
    store.close()


def send(settings: Settings, events: list[dict[str, Any]]) -> None:
    kafka = settings.source.kafka
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for one in events:
        producer.produce(kafka.topic, json.dumps(one).encode(), one["item_id"])
    assert producer.flush(20) == 0


def bought(number: int, item: str, hours_ago: float = 0, **other: Any) -> dict[str, Any]:
    at = (NOW - timedelta(hours=hours_ago)).isoformat()
    return event("purchase", number, item_id=item, occurred_at=at, **other)


@contextmanager
def counting(settings: Settings, store: OnlineStore) -> Iterator[None]:
    stop = threading.Event()
    arguments = (settings, store, lambda: {"i1": "Oat milk"}, stop)
    thread = threading.Thread(target=run_hot_lists, args=arguments)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def until(is_so: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(400):
        if is_so():
            return
        waiting.wait(0.05)
    raise AssertionError("it did not become so within 20 s")


def sold(client: httpx.Client, query: str = "") -> dict[str, int]:
    items = client.get(f"/v1/top-sellers{query}").json()["items"]
    return {one["item_id"]: one["units"] for one in items}


def test_lists_follow_what_is_bought_and_a_restart_counts_nothing_twice(
    settings: Settings, shop: tuple[LmdbStore, httpx.Client]
) -> None:
    store, client = shop
    first = [bought(1, "i1"), bought(2, "i2", quantity=5), bought(3, "i3", hours_ago=30)]
    send(settings, first)
    with counting(settings, store):
        until(lambda: sold(client) == {"i2": 5, "i1": 2})
        send(settings, [bought(4, "i1", quantity=4, region="south", category="SNACKS")])
        until(lambda: sold(client) == {"i1": 6, "i2": 5})
        assert sold(client, "?region=south") == {"i1": 4}
        assert sold(client, "?category=SNACKS&region=south") == {"i1": 4}
        answer = client.get("/v1/top-sellers").json()
        assert (answer["version"], answer["items"][0]["title"]) == ("live", "Oat milk")
        age = datetime.now(UTC) - datetime.fromisoformat(answer["as_of"])
        assert age < timedelta(seconds=5)
        rising = client.get("/v1/trending?category=DAIRY").json()["items"]
        assert {one["item_id"]: one["event_count"] for one in rising} == {"i1": 1, "i2": 1}
    send(settings, [*first, bought(5, "i2", quantity=2)])
    with counting(settings, store):
        until(lambda: sold(client) == {"i2": 7, "i1": 6})


def test_what_was_published_holds_while_nothing_counts(
    settings: Settings, shop: tuple[LmdbStore, httpx.Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, client = shop
    monkeypatch.setattr(hot_lists, "ALIVE", timedelta(seconds=2))
    send(settings, [bought(1, "i9")])
    published = {SELLER["item_id"]: SELLER["units"]}
    assert sold(client) == published
    with counting(settings, store):
        until(lambda: sold(client) == {"i9": 2})
        assert sold(client, "?category=FRZN%20FRUITS/VEG") == published
    until(lambda: sold(client) == published)


def test_while_the_broker_is_away_the_lists_say_how_old_they_are(
    shop: tuple[LmdbStore, httpx.Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, client = shop
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", QUICK_JAVA)
    with ExitStack() as until_done:
        with LocalBroker(tmp_path / "state") as broker:
            given = {"source.kafka.bootstrap_servers": broker.bootstrap_servers}
            away = load_settings(overrides={**given, "root": str(tmp_path)})
            ensure_topic(broker.bootstrap_servers, away.source.kafka.topic, 1)
            send(away, [bought(1, "i9")])
            until_done.enter_context(counting(away, store))
            until(lambda: sold(client) == {"i9": 2})
        heard = client.get("/v1/top-sellers").json()["as_of"]
        until(lambda: int(client.get("/v1/top-sellers").headers["age"]) >= 3)
        answer = client.get("/v1/top-sellers").json()
        assert (answer["version"], answer["items"][0]["item_id"]) == ("live", "i9")
        late = datetime.fromisoformat(answer["as_of"]) - datetime.fromisoformat(heard)
        assert late < timedelta(seconds=2)


def test_the_dashboard_shows_hot_lists_while_they_are_fresh(
    shop: tuple[LmdbStore, httpx.Client],
) -> None:
    store, client = shop
    now, row = datetime.now(UTC), {"item_id": "i1", "title": "Oat milk", "units": 7}
    lists = {"*|*": {"items": [row]}, "DAIRY|north": {"items": [{**row, "units": 3}]}}
    for kind in (SELLERS, TRENDING):
        store.publish(kind, lists.items(), version="live", published_at=now)

    def units(age: timedelta, query: str = "") -> int | None:
        heard = {"heard_at": (now - age).isoformat(), "window_s": 86400, "trend_s": 3600}
        store.update(PULSE, {PULSE: heard}, at=datetime.now(UTC), ttl=timedelta(seconds=15))
        shown = client.get(f"/v1/dashboard/items{query}").json()
        return shown["top_sellers"][0]["units"] if "live" in shown else None

    assert units(timedelta()) == 7
    assert units(timedelta(), "?category=DAIRY&region=north") == 3
    assert units(timedelta(), "?category=SNACKS") is None
    assert units(timedelta(minutes=2)) is None


def test_no_broker_is_told_in_one_line(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "online")
    with pytest.raises(ConfigError, match=r"set source\.kafka\.bootstrap_servers"):
        run_hot_lists(
            load_settings(overrides={"root": str(tmp_path)}), store, dict, threading.Event()
        )
    store.close()
