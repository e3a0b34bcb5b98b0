"""Reactions whole: a real broker, Spark's real-time mode, and the API's answers after an event."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest
from given import event
from pyspark.sql import SparkSession
from topics import send

from pipelines.errors import ConfigError
from pipelines.io.read import read
from pipelines.reacting import matched_topic, prepare, react, reactions_of, with_room
from pipelines.settings import Settings
from pipelines.sources.topic import end_offsets
from pipelines.streams import load_streams
from serving.encoding import now
from serving.lmdb_store import LmdbStore
from serving.reactions import Call, Effect, Emit, Event, Live, Pattern, Reaction
from serving.reactions.counts import Counts
from serving.reactions.file import Webhook
from serving.reactions.outbox import Outbox
from serving.times import iso

NOWHERE = Webhook(url="http://127.0.0.1:9/", attempts=1)


@pytest.fixture
def react_lake(kafka_lake: Settings) -> Settings:
    own = kafka_lake.reactions.model_copy(
        update={
            "group": kafka_lake.source.kafka.topic,
            "alerts_topic": f"{kafka_lake.source.kafka.topic}-alerts",
            "checkpoint_s": 60,
            "allow_private_webhooks": True,
        }
    )
    return kafka_lake.model_copy(update={"reactions": own})


@contextmanager
def reacting(spark: SparkSession, settings: Settings, *more: Reaction) -> Iterator[Counts]:
    """The reactions in a thread, as long as the block; its errors are raised at the end."""
    reactions, _ = reactions_of(settings)
    counts, ready, stop = Counts(), threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        outbox = Outbox(settings.state / "reactions" / "outbox.db")
        try:
            react(
                spark, settings, [*reactions, *more], {"nowhere": NOWHERE}, counts, outbox,
                ready=ready.set, until=lambda _: stop.is_set(),
            )  # fmt: skip
        except BaseException as error:
            failures.append(error)
            ready.set()
        finally:
            outbox.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(60)
        yield counts
    finally:
        stop.set()
        thread.join(60)
    assert failures == []


SERVE = """
import sys
from pipelines.settings import load_settings
from serving.server import serve
serve(load_settings(overrides={"root": sys.argv[1]}), port=0)
"""


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    """The API in a process of its own, over the lake's store."""
    LmdbStore(settings.state / "online").close()
    command = [sys.executable, "-c", SERVE, settings.root]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            told = server.stderr.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+", told)
            assert found, told
            with httpx.Client(base_url=found[0]) as client:
                yield client
        finally:
            server.kill()


def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.002)


def price(number: int, cents: int, **fields: object) -> dict[str, Any]:
    return event("price_change", number, price_cents=cents, occurred_at=iso(now()), **fields)


def test_an_answer_changes_after_an_event_and_nothing_is_lost_over_a_restart(
    spark: SparkSession, react_lake: Settings
) -> None:
    def drops(event: Event, live: Live) -> Iterator[Effect]:
        yield Emit("", {"cents": event.fields["price_cents"]})
        yield Call("nowhere")

    own = Reaction("drops", Pattern(frozenset({"price_change"}), price_drop=20), drops)
    prepare(react_lake)
    with ExitStack() as until_done:
        api = until_done.enter_context(serving(react_lake))

        def cents(item_id: str) -> int | None:
            answer = api.get(f"/v1/prices/{item_id}")
            return answer.json()["prices"][0]["price_cents"] if answer.is_success else None

        with reacting(spark, react_lake, own) as counts:
            send(react_lake, price(1, 200), event("item_upsert", 2), price(3, 150, item_id="i3"))
            until(lambda: cents("i1") == 200 and cents("i3") == 150)
            send(react_lake, price(4, 120))
            until(lambda: cents("i1") == 120)
            assert counts.events == {"reacted": 3}  # the item_upsert was not passed on
        state = {one.stream: one for one in load_streams(react_lake.state)}["reactions"]
        assert state.status == "ended"
        send(react_lake, price(5, 90), price(6, 140, item_id="i3"))  # nobody is there
        with reacting(spark, react_lake, own):
            until(lambda: cents("i1") == 90 and cents("i3") == 140)
    ids = {one["caused_by"] for one in _messages(react_lake)}
    assert ids == {price(n, 1)["event_id"] for n in (4, 5)}
    dead = read(spark, react_lake, "gold.dead_letters").orderBy("made_at").collect()
    assert [json.loads(row["body"])["caused_by"] for row in dead] == [
        price(n, 1)["event_id"] for n in (4, 5)
    ]
    assert {(row["webhook"], row["attempts"]) for row in dead} == {("nowhere", 1)}


def _messages(settings: Settings) -> list[dict[str, Any]]:
    from pipelines.sources.topic import first_offsets, read_back

    servers, topic = settings.source.kafka.bootstrap_servers, settings.reactions.alerts_topic
    ends = end_offsets(servers, topic)
    batches = read_back(servers, topic, first_offsets(servers, topic), ends)
    return [json.loads(one.value() or b"") for batch in batches for one in batch]


def test_reactions_need_a_kafka_that_others_reach_too(lake: Settings) -> None:
    with pytest.raises(ConfigError, match=r"source\.kind: kafka and source\.kafka\.bootstrap"):
        reactions_of(lake)


def test_a_file_that_is_named_must_be_there(react_lake: Settings) -> None:
    own = react_lake.reactions.model_copy(update={"file": "/nowhere/reactions.yml"})
    with pytest.raises(ConfigError, match=r"reactions\.file: there is no /nowhere/reactions\.yml"):
        reactions_of(react_lake.model_copy(update={"reactions": own}))


def test_topics_and_tasks_are_as_many_as_the_parts_of_the_source(react_lake: Settings) -> None:
    partitions = prepare(react_lake)
    servers = react_lake.source.kafka.bootstrap_servers
    assert len(end_offsets(servers, matched_topic(react_lake))) == partitions == 2
    assert with_room(react_lake, 7).spark.master == "local[8]"
    on_cluster = react_lake.spark.model_copy(update={"master": "spark://host:7077"})
    own = react_lake.model_copy(update={"spark": on_cluster})
    assert with_room(own, 7) == own
