"""The broker's process under its watchdog: launched, stopped, found again after a crash."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from pipelines.errors import BrokerError

_STOP_TIMEOUT_S = 20

# The broker's parent, in a session of its own so that Ctrl-C does not reach it. It stops the broker
# when its standard input closes or its own parent changes, and so after `kill -9` of the owner
# too: PR_SET_PDEATHSIG would fire when the starting *thread* ends, and exists on Linux only.
_WATCHDOG = """
import os, select, subprocess, sys
owner, patience = int(sys.argv[1]), float(sys.argv[2])
broker = subprocess.Popen(sys.argv[3:], stdin=subprocess.DEVNULL)
while broker.poll() is None:
    if select.select([0], [], [], 0.1)[0] or os.getppid() != owner:
        broker.terminate()
        try:
            broker.wait(patience)
        except subprocess.TimeoutExpired:
            broker.kill()
        sys.exit(0)
sys.exit(1)
"""


def launch(java: Path, jars: Path, properties: Path) -> subprocess.Popen[bytes]:
    """Start the broker that `properties` configures; what is returned is its watchdog."""
    folder = properties.parent
    heap = ["-Xmx512m", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true"]
    log4j = f"-Dlog4j2.configurationFile={folder / 'log4j2.properties'}"
    kafka = ["-cp", f"{jars}/*", "kafka.Kafka", str(properties)]
    watchdog = [sys.executable, "-I", "-S", "-c", _WATCHDOG, str(os.getpid())]
    with (folder / "broker.out").open("wb") as output:
        return subprocess.Popen(
            [*watchdog, str(_STOP_TIMEOUT_S), str(java), *heap, log4j, *kafka],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def stop(watchdog: subprocess.Popen[bytes], properties: Path) -> None:
    """Stop the watchdog and with it the broker, which runs alone if the watchdog was killed."""
    if watchdog.stdin:
        watchdog.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        watchdog.wait(_STOP_TIMEOUT_S + 5)
    stop_stale(properties)


def stop_stale(properties: Path) -> None:
    """Stop a broker on the same folder whose owner and watchdog were both killed.

    It is known by its command line, which holds the absolute path of its configuration: unlike
    a pid file, that cannot name a stranger who got the number later.
    """
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[-2:] != ["kafka.Kafka", str(properties)]:
            continue
        if not process.info["cmdline"][0].endswith("java"):
            continue
        with suppress(psutil.NoSuchProcess):
            try:
                process.terminate()
                process.wait(_STOP_TIMEOUT_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(_STOP_TIMEOUT_S)
            except psutil.AccessDenied:
                raise BrokerError(
                    f"process {process.pid} of another user runs the broker in "
                    f"{properties.parent}; stop it, or use another folder"
                ) from None
