"""From the broker's acknowledgement of a purchase until a reader without Spark finds it in gold.

The load comes from a process of its own at a fixed rate. Beside it, purchases that are marked by a
region of their own are sent a few times a second; the reader asks the gold view for them.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from confluent_kafka import Producer
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from benchmarks.freshness_reaction import process as running
from benchmarks.freshness_runs import VIEW
from benchmarks.ingest import PARTITIONS
from benchmarks.sale_day import START, sale_day
from pipelines.errors import LakeError
from pipelines.io.pages import Pages
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.sources.topic import ensure_topic

MARK = "freshness"  # the category of the marked purchases
MARKS_PER_S = 4
WARM_UP_S = 30.0  # of a tenth of the load: the JVM compiles
LOOK_S = 0.1
GIVE_UP_S = 120.0  # after the last event
TICK_S = 0.02

Look = Callable[[], set[str]]  # the marks that the view shows


@dataclass(frozen=True)
class Held:
    """Seconds of each mark; events/s sent, and shown in gold by the time of the last mark."""

    took: list[float]
    sent_per_s: float
    shown_per_s: float
    unseen: int


def gold(settings: Settings, name: str, rate: int, seconds: float) -> Held:
    """How long marks take to a view that `name` (see `freshness_runs.RUNS`) fills.

    A mark that does not show within two minutes of the last event counts until then.
    """
    servers, topic = settings.source.kafka.bootstrap_servers, f"gold-{name}"
    root = Path(settings.root).parent / name
    settings = settings.model_copy(update={"root": str(root)})
    ensure_topic(servers, topic, PARTITIONS)
    run = [sys.executable, "-m", "benchmarks.freshness_runs", name, str(root), servers, topic]
    look = in_lake(settings) if name == "ours" else in_table(root)
    with running(run, r"^ready"):
        with _load(servers, topic, max(1, rate // 10), WARM_UP_S, number=1) as warm_up:
            warm_up.wait()
        with _load(servers, topic, rate, seconds, number=2) as load:
            assert load.stdout
            load.stdout.readline()  # its events are made, and it begins to send
            return _marked(servers, topic, look, load, seconds)


def _marked(
    servers: str, topic: str, look: Look, load: "subprocess.Popen[str]", seconds: float
) -> Held:
    """Send marks while the load is sent, and wait for each."""
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 0})
    sent: dict[str, float] = {}
    shown: dict[str, float] = {}
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(LOOK_S):
            found, now = look(), time.monotonic()
            for mark in found - shown.keys():
                shown[mark] = now

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    started = time.monotonic()
    for number in range(int(seconds * MARKS_PER_S)):
        time.sleep(max(0.0, started + number / MARKS_PER_S - time.monotonic()))
        mark = f"m-{number}"
        sent[mark] = _acknowledged(producer, topic, mark, number / MARKS_PER_S)
    told = json.loads(load.communicate()[0])
    give_up = time.monotonic() + GIVE_UP_S
    while sent.keys() - shown.keys() and time.monotonic() < give_up:
        time.sleep(LOOK_S)
    ended.set()
    reader.join()
    last = max((shown[mark] for mark in sent.keys() & shown.keys()), default=give_up)
    took = [shown.get(mark, give_up) - at for mark, at in sent.items()]
    unseen = len(sent.keys() - shown.keys())
    per_s = told["events"] / (last - started) if not unseen else float("nan")
    return Held(took, told["events"] / told["seconds"], per_s, unseen)


def _acknowledged(producer: Producer, topic: str, mark: str, after_s: float) -> float:
    """Send a marked purchase; returns when the broker had it."""
    told: list[float] = []
    at = (START + timedelta(seconds=WARM_UP_S + after_s)).isoformat()
    event = {
        "event_id": str(uuid.uuid4()), "event_type": "purchase", "occurred_at": at, "item_id": "i1",
        "region": mark, "category": MARK, "customer_id": "c1", "basket_id": mark, "quantity": 1,
        "price_cents": 100, "currency": "USD",
    }  # fmt: skip
    producer.produce(
        topic,
        json.dumps(event).encode(),
        on_delivery=lambda error, _: told.append(float("nan") if error else time.monotonic()),
    )
    while not told:
        producer.poll(1)
    return told[0]


def in_lake(settings: Settings) -> Look:
    """The marks as the API's reader of views finds them."""
    pages = Pages(settings, VIEWS)

    def look() -> set[str]:
        try:
            return {row["region"] for row in pages.page(VIEW, {"category": MARK}, 1000).rows}
        except LakeError:  # not refreshed yet
            return set()

    return look


def in_table(root: Path) -> Look:
    """The marks in the table of the plain job."""
    path, last = f"{root}/gold/{VIEW}", -1
    found: set[str] = set()

    def look() -> set[str]:
        nonlocal last, found
        try:
            table = DeltaTable(path)
        except TableNotFoundError:
            return set()
        if table.version() != last:
            rows = table.to_pyarrow_table(columns=["region"], filters=[("category", "=", MARK)])
            last, found = table.version(), set(rows["region"].to_pylist())
        return found

    return look


@contextmanager
def _load(
    servers: str, topic: str, rate: int, seconds: float, number: int
) -> Iterator["subprocess.Popen[str]"]:
    """The load in a process of its own, gone when the block ends."""
    given = [servers, topic, str(rate), str(seconds), str(number)]
    command = [sys.executable, "-m", "benchmarks.freshness_gold", *given]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def send(servers: str, topic: str, events: Iterator[bytes], rate: int) -> tuple[int, float]:
    """Send events at an even pace; returns how many, and the seconds until all had arrived."""
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000}
    )
    started, sent = time.monotonic(), 0
    for payload in events:
        producer.produce(topic, payload, partition=sent % PARTITIONS)
        sent += 1
        if sent % max(1, int(rate * TICK_S)) == 0:
            producer.poll(0)
            time.sleep(max(0.0, started + sent / rate - time.monotonic()))
    assert producer.flush(60) == 0
    return sent, time.monotonic() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="The load: a sale day at a fixed rate.")
    parser.add_argument("servers")
    parser.add_argument("topic")
    parser.add_argument("rate", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("number", type=int, help="of the load: no two have an event in common")
    args = parser.parse_args()
    # Made beforehand: making them would take a core from what is measured.
    events = list(sale_day(int(args.rate * args.seconds), seed=20 + args.number))
    print("sending", flush=True)
    sent, seconds = send(args.servers, args.topic, iter(events), args.rate)
    print(json.dumps({"events": sent, "seconds": seconds}))


if __name__ == "__main__":
    main()
