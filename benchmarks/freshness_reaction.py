"""From the broker's acknowledgement of a price change to the API's answer with the new price."""

import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
from confluent_kafka import Producer

from pipelines.settings import Settings
from serving.encoding import now
from serving.lmdb_store import LmdbStore
from serving.times import iso

GIVE_UP_S = 10.0
WARM_UP = 100  # changes that are not counted: the JVM compiles
SERVE = """
import sys
from pipelines.settings import load_settings
from serving.server import serve
serve(load_settings(overrides={"root": sys.argv[1]}), port=0)
"""


def reaction(settings: Settings, changes: int, rate: float) -> list[float]:
    """Seconds that each price change took; one that did not show within 10 s counts as that.

    The reactor and the API are processes of their own. The next change is sent when its time has
    come and the last one has shown, so a stall is charged to each change that waits for it: a
    change counts from when it was due, if that is before its acknowledgement.
    """
    kafka = settings.source.kafka
    LmdbStore(settings.state / "online").close()
    react = [sys.executable, "-m", "benchmarks.reacting", settings.root, kafka.bootstrap_servers]
    serve = [sys.executable, "-c", SERVE, settings.root]
    with ExitStack() as until_done:
        until_done.enter_context(process(react, r"ready"))
        url = until_done.enter_context(process(serve, r"http://[\d.]+:\d+"))
        client = until_done.enter_context(httpx.Client(base_url=url))
        producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "linger.ms": 0})
        for number in range(WARM_UP):
            shown(client, number, change(producer, kafka.topic, number))
        took = []
        started = time.perf_counter()  # only now: what the first ones took delays no other
        for number in range(WARM_UP, WARM_UP + changes):
            due = started + (number - WARM_UP) / rate
            time.sleep(max(0.0, due - time.perf_counter()))
            acknowledged = change(producer, kafka.topic, number)
            late_s = max(0.0, acknowledged - due - 1 / rate)
            took.append(shown(client, number, acknowledged) + late_s)
        return took


def change(producer: Any, topic: str, number: int) -> float:
    """Send a price change; returns when the broker had it."""
    told: list[float] = []
    event = (
        f'{{"event_id":"{uuid.uuid4()}","event_type":"price_change","occurred_at":"{iso(now())}",'
        f'"item_id":"i{number % 500}","region":"north","category":"DAIRY",'
        f'"price_cents":{1000 + number},"currency":"USD"}}'
    )
    producer.produce(
        topic, event.encode(), f"i{number % 500}",
        on_delivery=lambda error, _: told.append(float("nan") if error else time.perf_counter()),
    )  # fmt: skip
    while not told:
        producer.poll(1)
    return told[0]


def shown(client: httpx.Client, number: int, since: float) -> float:
    """Ask until the API tells the price; returns the seconds since."""
    while True:
        answer = client.get(f"/v1/prices/i{number % 500}")
        took = time.perf_counter() - since
        if answer.is_success and answer.json()["prices"][0]["price_cents"] == 1000 + number:
            return took
        if took > GIVE_UP_S:
            return GIVE_UP_S
        time.sleep(0.0005)


@contextmanager
def process(command: list[str], sign: str) -> Iterator[str]:
    """A process, once it has printed a line with the sign; gives what fits it."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, **pipes) as running:
        assert running.stdout
        lines: list[str] = []
        try:
            for line in running.stdout:
                lines.append(line)
                if found := re.search(sign, line):
                    threading.Thread(target=running.stdout.read, daemon=True).start()
                    yield found[0]
                    return
            sys.exit(f"{' '.join(command[:4])} ended: {''.join(lines)[-2000:]}")
        finally:
            running.terminate()
            running.wait(60)
