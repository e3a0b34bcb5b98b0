"""A real Kafka broker of our own: one KRaft node on 127.0.0.1, without Docker.

The jars are resolved once, by the Ivy jar inside pyspark, into the user's cache. Topics live under
`state_dir/broker/data` and survive restarts. The broker never outlives the process that started it.
"""

import errno
import fcntl
import os
import re
import shutil
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from pipelines.errors import BrokerError, DiskFullError
from pipelines.sources import broker_process
from pipelines.sources.java import kafka_jars, require_java

_START_TIMEOUT_S = 90
_PORT_ATTEMPTS = 3
_DISK_LOW_BYTES = 1 << 20

# Session timeout: a restart after `kill -9` waits for the end of the old session, 12 s by default.
_SERVER_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={data}
log.retention.ms=-1
log.retention.bytes=-1
log.preallocate=false
log.index.size.max.bytes=1048576
log.cleaner.dedupe.buffer.size=8388608
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
_LOG4J = """appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={folder}/broker.log
appender.file.filePattern={folder}/broker.%i.log
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %p %m%n%throwable{{5}}
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=5MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=1
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
"""


class LocalBroker:
    """A context manager: the broker answers from `with` on and is gone when it ends.

    Args:
        state_dir: the folder that gets `broker/`: data, configuration and logs.
        port: the port on 127.0.0.1; None: any free one.
        further: lines of its configuration that win over ours, for this run.

    Raises:
        JavaError: no Java 17 or later.
        DownloadError: the jars are not cached and cannot be downloaded.
        DiskFullError: no space left for the broker.
        BrokerError: the port is taken, the folder in use, or the broker did not start.
    """

    def __init__(self, state_dir: Path, *, port: int | None = None, further: str = "") -> None:
        self.folder = state_dir.expanduser().resolve() / "broker"
        self.bootstrap_servers = ""
        self._port, self._further = port, further
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._cleanup = ExitStack()

    def __enter__(self) -> "LocalBroker":
        java = require_java()
        jars = kafka_jars(java)
        with self._cleanup:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock()
                self._cleanup.callback(self._stop)
                broker_process.stop_stale(self._properties)
                self._start(java, jars)
            except OSError as error:
                raise self._os_error(error) from None
            self._cleanup = self._cleanup.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._cleanup.close()

    def check_alive(self) -> None:
        """Do nothing while the broker runs.

        Raises:
            BrokerError: it has died; the message holds the end of its log.
            DiskFullError: it has died because no space was left.
        """
        if self._watchdog is None or self._watchdog.poll() is not None:
            raise self._death("the Kafka broker has died")

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _lock(self) -> None:
        lock = self._cleanup.enter_context((self.folder / "lock").open("a+", encoding="utf-8"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise BrokerError(
                f"the broker in {self.folder} is run by process {lock.read() or '?'}; "
                "wait until that ends, or stop it"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()

    def _start(self, java: Path, jars: Path) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            ports = _free_ports(self._port)
            self._configure(*ports)
            self._format(java, jars)
            (self.folder / "broker.log").unlink(missing_ok=True)
            self._watchdog = broker_process.launch(java, jars, self._properties)
            try:
                self._await_answer(f"127.0.0.1:{ports[0]}")
            except BrokerError as error:
                lost_port = "already in use" in str(error)  # taken since _free_ports looked
                if not lost_port or self._port or attempt == _PORT_ATTEMPTS:
                    raise
                self._stop()
            else:
                self.bootstrap_servers = f"127.0.0.1:{ports[0]}"
                return

    def _configure(self, port: int, controller_port: int) -> None:
        values = {"port": port, "controller_port": controller_port, "data": self.folder / "data"}
        lines = _SERVER_PROPERTIES.format(**values) + self._further
        self._properties.write_text(lines, encoding="utf-8")
        log4j = _LOG4J.format(folder=self.folder)
        (self.folder / "log4j2.properties").write_text(log4j, encoding="utf-8")

    def _format(self, java: Path, jars: Path) -> None:
        if (self.folder / "data" / "meta.properties").exists():  # the last file that it writes
            return
        cluster_id = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=").replace("-", "_")
        quick = "-XX:TieredStopAtLevel=1"  # it runs for a second
        tool = [str(java), quick, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format"]
        answer = subprocess.run(
            [*tool, "--cluster-id", cluster_id, "--config", str(self._properties)],
            capture_output=True,
            text=True,
            timeout=_START_TIMEOUT_S,
        )
        if answer.returncode != 0:
            (self.folder / "broker.out").write_text(answer.stdout + answer.stderr)
            raise self._death("the broker's folder could not be prepared")

    def _await_answer(self, address: str) -> None:
        client = AdminClient({"bootstrap.servers": address, "log_level": 0})
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._watchdog is None or self._watchdog.poll() is not None:
                raise self._death("the Kafka broker did not start")
            with suppress(KafkaException):
                if client.list_topics(timeout=0.5).brokers:
                    return
        raise self._death(f"the Kafka broker did not answer within {_START_TIMEOUT_S} s")

    def _stop(self) -> None:
        watchdog, self._watchdog = self._watchdog, None
        if watchdog is not None:
            broker_process.stop(watchdog, self._properties)

    def _death(self, what: str) -> BrokerError | DiskFullError:
        logs = [self.folder / "broker.out", self.folder / "broker.log"]
        text = "\n".join(f.read_text(errors="replace") for f in logs if f.exists())
        if "No space left" in text or shutil.disk_usage(self.folder).free < _DISK_LOW_BYTES:
            return self._disk_full()
        lines = [line.strip() for line in text.splitlines()]
        lines = [line for line in lines if line and not line.startswith(("at ", "..."))]
        telling = [line for line in lines if re.search(r"ERROR|FATAL|Exception|Error:", line)]
        end = " | ".join((telling or lines)[-3:])[-700:] or "it left no message"
        return BrokerError(f"{what}: {end}; its log is {logs[1]}; run again to restart it")

    def _disk_full(self) -> DiskFullError:
        return DiskFullError(
            f"no space left for the Kafka broker in {self.folder}; free some and run again"
        )

    def _os_error(self, error: OSError) -> BrokerError | DiskFullError:
        if error.errno == errno.ENOSPC:
            return self._disk_full()
        return BrokerError(f"the broker's folder {self.folder} cannot be used: {error}; correct it")


def _free_ports(port: int | None) -> tuple[int, int]:
    """The broker's port, `port` if given, and one for its controller, both free now."""
    with ExitStack() as stack:
        ports = []
        for wanted in (port or 0, 0):
            probe = stack.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
                probe.listen()
            except OSError as error:
                raise BrokerError(
                    f"port {wanted} on 127.0.0.1 cannot be used: {error.strerror}; "
                    "stop what uses it, or choose another port"
                ) from None
            ports.append(probe.getsockname()[1])
    return ports[0], ports[1]
