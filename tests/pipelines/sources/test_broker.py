import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from pipelines.errors import BrokerError, DownloadError, JavaError
from pipelines.sources.broker import LocalBroker
from pipelines.sources.java import kafka_jars, require_java
from pipelines.sources.topic import ensure_topic

pytestmark = pytest.mark.usefixtures("quick_java")

OWNER = """
import sys
from pathlib import Path
from pipelines.sources.broker import LocalBroker
with LocalBroker(Path(sys.argv[1])) as broker:
    sys.stdout.write(broker.bootstrap_servers + "\\n")
    sys.stdout.flush()
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broker")


def processes_of(state_dir: Path) -> list[psutil.Process]:
    """The watchdog and the broker that run on the folder."""
    properties = str(state_dir / "broker" / "server.properties")
    found = psutil.process_iter(["cmdline"])
    return [p for p in found if (p.info["cmdline"] or [""])[-1] == properties]


def java_of(state_dir: Path) -> psutil.Process:
    (java,) = (p for p in processes_of(state_dir) if p.info["cmdline"][0].endswith("java"))
    return java


def start_owner(state_dir: Path) -> subprocess.Popen[str]:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(state_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert owner.stdout is not None
    assert owner.stdout.readline().startswith("127.0.0.1:")
    return owner


def test_topics_survive_a_restart_on_another_port(state_dir: Path) -> None:
    with LocalBroker(state_dir) as broker:
        ensure_topic(broker.bootstrap_servers, "kept", 1)
        first = broker.bootstrap_servers
        producer = Producer({"bootstrap.servers": first})
        producer.produce("kept", b"a value")
        assert producer.flush(10) == 0
    assert processes_of(state_dir) == []
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", int(first.split(":")[1])))
        with LocalBroker(state_dir) as broker:
            assert broker.bootstrap_servers != first
            conf = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g"}
            consumer = Consumer(conf | {"enable.auto.commit": False})
            consumer.assign([TopicPartition("kept", 0, 0)])
            message = consumer.poll(10)
            assert message is not None
            assert message.value() == b"a value"
            consumer.close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_broker_dies_with_its_owner(state_dir: Path, how: signal.Signals) -> None:
    with start_owner(state_dir) as owner:
        running = processes_of(state_dir)
        assert len(running) == 2
        owner.send_signal(how)
        owner.wait(20)
    assert psutil.wait_procs(running, timeout=20)[1] == []


def test_a_broker_left_by_a_crash_is_replaced_and_the_death_of_the_next_noticed(
    state_dir: Path,
) -> None:
    with start_owner(state_dir) as owner:
        java = java_of(state_dir)
        java.parent().kill()
        owner.kill()
    assert java.is_running()
    died = pytest.raises(BrokerError, match=r"^the Kafka broker has died.*broker\.log")
    with died, LocalBroker(state_dir) as broker:
        assert not java.is_running()
        broker.check_alive()
        with pytest.raises(BrokerError, match=f"run by process {os.getpid()}"):
            LocalBroker(state_dir).__enter__()
        broker.check_alive()
        watchdog = java_of(state_dir).parent()
        java_of(state_dir).kill()
        watchdog.wait(10)
        broker.check_alive()
    assert processes_of(state_dir) == []


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(BrokerError, match=rf"port {port} .*choose another port"):
            LocalBroker(tmp_path, port=port).__enter__()


def test_a_failing_start_tells_the_reason_in_one_line(tmp_path: Path) -> None:
    data = tmp_path / "broker" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=other\n")
    with pytest.raises(BrokerError, match=r"did not start: .*node") as raised:
        LocalBroker(tmp_path).__enter__()
    assert "\n" not in str(raised.value)
    assert processes_of(tmp_path) == []


def test_no_java_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JavaError, match="no Java found; install a Java 17 or later"):
        LocalBroker(tmp_path).__enter__()


@pytest.mark.parametrize("version", ["1.8.0_402", "11.0.22"])
def test_an_old_java_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2024-01-16' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JavaError, match=f"is Java {version}, too old; install a Java 17"):
        require_java()


def test_no_network_is_named_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    nowhere = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", nowhere)
    with pytest.raises(DownloadError, match=r"ConnectException.*connect to the network") as raised:
        kafka_jars(require_java())
    assert "\n" not in str(raised.value)
    assert list((tmp_path / "retail-lakehouse").iterdir()) == []
