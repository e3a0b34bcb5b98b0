import hashlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import AdminClient

from pipelines.errors import BrokerError, LockedError, SourceError
from pipelines.settings_sections import KafkaSettings
from pipelines.sources import ledger, topic
from pipelines.sources import produce as module
from pipelines.sources.broker import LocalBroker
from pipelines.sources.ledger import read_ledger
from pipelines.sources.produce import ProduceResult, produce
from pipelines.sources.topic import end_offsets, ensure_topic

pytestmark = pytest.mark.usefixtures("quick_java")

Event = tuple[bytes, bytes]
Row = tuple[int, int, bytes]

CRASHING = """
import sys
from pathlib import Path
from pipelines.settings_sections import KafkaSettings
from pipelines.sources.produce import produce
def events():
    for i in range(5000):
        yield b"%d" % i, b'{"event_type":"click","n":%d}' % i
    sys.stdin.read()
settings = KafkaSettings(
    bootstrap_servers="", topic=sys.argv[2], partitions=3, max_offsets_per_trigger=1
)
produce(events(), settings_kafka=settings, bootstrap_servers=sys.argv[1],
        ledger_dir=Path(sys.argv[3]), name="clicks", fingerprint="f" * 64)
"""


@pytest.fixture(scope="module")
def local_broker(
    quick_java: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LocalBroker]:
    with LocalBroker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def kafka(request: pytest.FixtureRequest) -> KafkaSettings:
    name = request.node.name.split("[")[0]
    return KafkaSettings(bootstrap_servers="", topic=name, partitions=3, max_offsets_per_trigger=1)


def clicks(count: int) -> Iterator[Event]:
    for i in range(count):
        yield b"%d" % i, b'{"event_type":"click","n":%d}' % i


def breaking_off(after: int) -> Iterator[Event]:
    yield from clicks(after)
    raise KeyboardInterrupt


def killing(
    broker: LocalBroker, kafka: KafkaSettings, killed_at: list[float] | None = None
) -> Iterator[Event]:
    """Events, with the broker killed when it has the first 4,000."""
    yield from clicks(4_000)
    deadline = time.monotonic() + 20
    while sum(end_offsets(broker.bootstrap_servers, kafka.topic).values()) < 4_000:
        assert time.monotonic() < deadline
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or [""]
        properties = str(broker.folder / "server.properties")
        if command[-1] == properties and command[0].endswith("java"):
            process.kill()
            process.wait(10)
    if killed_at is not None:
        killed_at.append(time.monotonic())
    yield from clicks(1_000)


def send(
    events: Iterator[Event],
    broker: LocalBroker,
    kafka: KafkaSettings,
    ledger_dir: Path,
    *,
    name: str = "clicks",
    rate: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> ProduceResult:
    return produce(
        events,
        settings_kafka=kafka,
        bootstrap_servers=broker.bootstrap_servers,
        ledger_dir=ledger_dir,
        name=name,
        fingerprint="f" * 64,
        rate=rate,
        progress=progress,
    )


def in_topic(broker: LocalBroker, topic: str) -> list[Row]:
    conf = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "check"}
    consumer = Consumer(conf | {"enable.partition.eof": True, "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, p, 0) for p in range(3)])
    rows: list[Row] = []
    open_partitions = {0, 1, 2}
    while open_partitions:
        for message in consumer.consume(10_000, 0.05):
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF
                open_partitions.discard(message.partition())
                continue
            digest = hashlib.sha256(message.value()).digest()[:8]
            rows.append((message.partition(), message.offset(), digest))
    consumer.close()
    return sorted(rows)


def in_ledger(ledger_dir: Path) -> list[Row]:
    tables = [pq.read_table(part).to_pydict() for part in read_ledger(ledger_dir)]
    return sorted(
        row
        for table in tables
        for row in zip(table["partition"], table["offset"], table["digest"], strict=True)
    )


def test_creates_a_topic_once_and_never_changes_it(local_broker: LocalBroker) -> None:
    servers = local_broker.bootstrap_servers
    ensure_topic(servers, "three", 3)
    ensure_topic(servers, "three", 5)
    listed = AdminClient({"bootstrap.servers": servers}).list_topics(timeout=10).topics
    assert len(listed["three"].partitions) == 3
    local_broker.check_alive()


def test_an_unreachable_broker_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic, "_REPLY_TIMEOUT_S", 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerError, match=rf"topic t at {address}.*start that broker"):
            ensure_topic(address, "t", 1)


def test_records_every_acknowledged_message_exactly(
    local_broker: LocalBroker,
    kafka: KafkaSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ledger, "_PART_ROWS", 4_000)
    odd = [(b"k", b'{"event_type":"purchase"}'), (b"k", b"\xff not an event"), (b"", b"")]
    events = iter([*clicks(20_000), *odd])
    result = send(events, local_broker, kafka, tmp_path)
    assert (result.events, result.already) == (20_003, False)
    assert result.by_type == {"click": 20_000, "purchase": 1, "unreadable": 2}
    assert in_ledger(tmp_path) == in_topic(local_broker, kafka.topic)
    assert len(in_ledger(tmp_path)) == 20_003


def test_a_second_time_sends_nothing(
    local_broker: LocalBroker, kafka: KafkaSettings, tmp_path: Path
) -> None:
    first = send(clicks(500), local_broker, kafka, tmp_path)
    second = send(clicks(500), local_broker, kafka, tmp_path)
    assert (second.events, second.by_type, second.already) == (500, first.by_type, True)
    assert len(in_topic(local_broker, kafka.topic)) == 500 == len(in_ledger(tmp_path))


def test_after_an_interruption_all_is_sent_and_recorded(
    local_broker: LocalBroker, kafka: KafkaSettings, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        send(breaking_off(3_000), local_broker, kafka, tmp_path)
    sent = in_topic(local_broker, kafka.topic)
    assert in_ledger(tmp_path) == sent
    result = send(clicks(5_000), local_broker, kafka, tmp_path)
    assert (result.events, result.already) == (5_000, False)
    assert len(in_ledger(tmp_path)) == len(sent) + 5_000
    assert in_ledger(tmp_path) == in_topic(local_broker, kafka.topic)


def test_after_a_kill_what_the_ledger_missed_is_read_back(
    local_broker: LocalBroker, kafka: KafkaSettings, tmp_path: Path
) -> None:
    servers = local_broker.bootstrap_servers
    crashing = [sys.executable, "-c", CRASHING, servers, kafka.topic, str(tmp_path)]
    with subprocess.Popen(crashing, stdin=subprocess.PIPE) as sender:
        deadline = time.monotonic() + 20
        reached = 0
        while reached < 5_000 and time.monotonic() < deadline and sender.poll() is None:
            if (tmp_path / f"clicks-{'f' * 16}" / "started.json").exists():
                reached = sum(end_offsets(servers, kafka.topic).values())
        with pytest.raises(LockedError, match="another process is sending"):
            send(clicks(5_000), local_broker, kafka, tmp_path)
        sender.kill()
    assert reached == 5_000
    assert read_ledger(tmp_path) == []
    send(clicks(700), local_broker, kafka, tmp_path, name="others")
    send(clicks(5_000), local_broker, kafka, tmp_path)
    assert len(in_ledger(tmp_path)) == 10_700
    assert in_ledger(tmp_path) == in_topic(local_broker, kafka.topic)


def test_a_topic_that_lost_the_events_is_named(
    local_broker: LocalBroker, kafka: KafkaSettings, tmp_path: Path
) -> None:
    send(clicks(10), local_broker, kafka, tmp_path)
    other = kafka.model_copy(update={"topic": "another"})
    with pytest.raises(SourceError, match=r"sent to topic .*, not to another"):
        send(clicks(10), local_broker, other, tmp_path)


def test_the_rate_is_kept(local_broker: LocalBroker, kafka: KafkaSettings, tmp_path: Path) -> None:
    result = send(clicks(500), local_broker, kafka, tmp_path, rate=1_000)
    assert 0.45 <= result.seconds < 5


def test_a_dying_broker_ends_it_and_the_ledger_keeps_what_it_took(
    kafka: KafkaSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_FLUSH_TIMEOUT_S", 1)
    ledger_dir = tmp_path / "ledger"
    with LocalBroker(tmp_path) as broker, monkeypatch.context() as patch:
        patch.setattr(module, "_DELIVERY_TIMEOUT_MS", 2_000)
        with pytest.raises(BrokerError, match="what it took is in the ledger"):
            send(killing(broker, kafka), broker, kafka, ledger_dir)
    with LocalBroker(tmp_path) as broker:
        sent = in_topic(broker, kafka.topic)
        assert set(in_ledger(ledger_dir)) <= set(sent)
        result = send(clicks(5_000), broker, kafka, ledger_dir)
        assert result.events == 5_000
        assert in_ledger(ledger_dir) == in_topic(broker, kafka.topic)

        # long before the 60 s that its messages would be tried for
        watched = kafka.model_copy(update={"topic": "watched"})
        killed_at: list[float] = []
        with pytest.raises(BrokerError, match="the Kafka broker has died"):
            send(
                killing(broker, watched, killed_at),
                broker,
                watched,
                tmp_path / "watched",
                progress=lambda _: broker.check_alive(),
            )
        assert time.monotonic() - killed_at[0] < 10
