"""The live side as its processes: reactions, hot lists and the API; killed and started again."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from given import event
from quick_java import QUICK_JAVA
from redis_server import redis_server
from topics import send

from pipelines.settings import Settings, load_settings
from pipelines.sources.connection import Kafka
from pipelines.sources.topic import end_offsets, ensure_topic, first_offsets, read_back
from serving.live_answers import prices
from serving.stores import store_to_read

PROJECT = Path(__file__).resolve().parents[2]
SOON_S = 90
ENDS_S = 20


@pytest.fixture(params=["lmdb", "redis"])
def project(
    request: pytest.FixtureRequest, broker: Kafka, tmp_path: Path
) -> Iterator[tuple[Path, Settings]]:
    """A copy of the program whose environment `live` has a topic and a store of its own."""
    copy = tmp_path / "project"
    for folder in ("pipelines", "conf"):
        shutil.copytree(PROJECT / folder, copy / folder)
    for folder in ("ml", "serving", "workflows", "java"):
        (copy / folder).symlink_to(PROJECT / folder)
    kafka = broker.settings.source.kafka
    topic = f"live-{uuid.uuid4()}"
    ensure_topic(kafka.bootstrap_servers, topic, 2)
    quick = {"spark.driver.extraJavaOptions": QUICK_JAVA}
    overlay: dict[str, Any] = {
        "root": str(tmp_path / "lake"),
        "source": {"kafka": {"bootstrap_servers": kafka.bootstrap_servers, "topic": topic}},
        "spark": {"driver_memory": "1g", "shuffle_partitions": 1, "conf": quick},
        "reactions": {"group": topic, "alerts_topic": f"{topic}-alerts", "stock_under": 3},
        "serving": {"workers": 2},
    }
    with redis_server(tmp_path / "redis") as server:
        if request.param == "redis":
            overlay["online"] = {"kind": "redis", "redis_url": server.url}
        (copy / "conf" / "live.yml").write_text(json.dumps(overlay))  # JSON is YAML
        yield copy, load_settings("live", conf_dir=copy / "conf")


@contextmanager
def command(
    project: Path, name: str, sign: str, *more: str
) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A command in a process of its own once it has written a line with the sign."""
    line = [sys.executable, "-m", "pipelines", name, "--env", "live", *more]
    log = project / f"{name}.{uuid.uuid4().hex}.log"
    with log.open("w") as sink, subprocess.Popen(line, cwd=project, stderr=sink) as process:
        try:
            found: list[str] = []

            def is_there() -> bool:
                assert process.poll() is None, log.read_text()[-3000:]
                found[:] = re.findall(sign, log.read_text())
                return bool(found)

            until(is_there, SOON_S)
            yield process, found[0]
        finally:
            process.kill()


def ended(process: "subprocess.Popen[str]") -> None:
    """It ends on SIGTERM, soon and with success."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(ENDS_S) == 0


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.05)


def live(kind: str, number: int, item: str, **fields: object) -> dict[str, Any]:
    at = datetime.now(UTC).isoformat()
    return event(kind, number, occurred_at=at, item_id=item, **fields)


def priced(first: int, count: int) -> list[dict[str, Any]]:
    """New prices of as many items, in cents their own numbers."""
    numbers = range(first, first + count)
    return [live("price_change", n, f"i{n}", price_cents=n) for n in numbers]


def test_no_reaction_is_lost_when_the_process_is_killed(project: tuple[Path, Settings]) -> None:
    folder, settings = project

    def told() -> set[int]:
        with closing(store_to_read(settings)) as store:
            found = (prices(store, f"i{n}") for n in range(100, 400))
            return {row["price_cents"] for one in found if one for row in one.value["prices"]}

    def stock(first: int) -> list[dict[str, Any]]:
        return [
            live("inventory_change", first, f"s{first}", delta_quantity=5),
            live("inventory_change", first + 1, f"s{first}", delta_quantity=-4),
        ]

    with command(folder, "react", "wait for events") as (process, _):
        send(settings, *priced(100, 20), *stock(1000))
        until(lambda: len(told()) == 20)
        send(settings, *priced(200, 100), *stock(1100))
        process.kill()  # amid these, or before, or after
        process.wait()
    send(settings, *priced(300, 20), *stock(1200))  # nobody is there
    with command(folder, "react", "wait for events") as (process, _):
        send(settings, *priced(320, 20), *stock(1300))
        wanted = {*range(100, 120), *range(200, 300), *range(300, 340)}
        until(lambda: told() == wanted)
        ended(process)
    alerts = messages(settings, settings.reactions.alerts_topic)
    assert {one["item_id"] for one in alerts} == {"s1000", "s1100", "s1200", "s1300"}
    # An alert may be sent again; then it has the id that it had.
    assert len({one["event_id"] for one in alerts}) == 4


def messages(settings: Settings, topic: str) -> list[dict[str, Any]]:
    servers = settings.source.kafka.bootstrap_servers
    ends = end_offsets(servers, topic)
    batches = read_back(servers, topic, first_offsets(servers, topic), ends)
    return [json.loads(one.value() or b"") for batch in batches for one in batch]


@pytest.mark.parametrize("project", ["redis"], indirect=True)  # LMDB: tests/serving/test_hot_lists
def test_hot_lists_go_on_after_a_kill_and_all_workers_and_the_dashboard_show_them(
    project: tuple[Path, Settings],
) -> None:
    folder, settings = project
    Path(settings.state).mkdir(parents=True)
    (settings.state / "lake.json").write_text('{"format_version": 1}\n')

    def bought(first: int, count: int) -> list[dict[str, Any]]:
        return [live("purchase", n, "i1", quantity=1) for n in range(first, first + count)]

    send(settings, *bought(1, 5))
    with command(folder, "serve", r"http://[\d.:]+", "--port", "0") as (api, url):

        def sold(path: str = "/v1/top-sellers") -> list[int]:
            """What several connections are told, which the workers share."""
            answers = [httpx.get(url + path) for _ in range(8)]
            lists = [one.json() for one in answers if one.is_success]
            return [one.get("top_sellers", one.get("items"))[0]["units"] for one in lists]

        with command(folder, "hot-lists", "counting") as (process, _):
            until(lambda: sold() == [5] * 8)
            send(settings, *bought(10, 5))
            process.kill()
            process.wait()
        send(settings, *bought(20, 5), *bought(1, 5))  # the latter again
        with command(folder, "hot-lists", "counting") as (process, _):
            until(lambda: sold() == [15] * 8)
            assert sold("/v1/dashboard/items") == [15] * 8
            ended(process)
        api.send_signal(signal.SIGTERM)
        assert api.wait(ENDS_S) == 128 + signal.SIGTERM
