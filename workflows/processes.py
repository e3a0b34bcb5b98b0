"""The processes of tasks, as the runner sees them: started, told to end, and gone."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflows.attach import ADDRESS
from workflows.host import GRACE_SECONDS
from workflows.sessions import Sessions

PACKAGES = str(Path(__file__).resolve().parent.parent)
BOOT = "import sys; sys.path.insert(0, {!r}); from workflows.host import main; main({}, {!r})"
MODULES = "workflows.attach"
SPARK_MODULES = f"{MODULES},pyspark.sql"
LOST = -1000  # no exit code of a process: its host is gone


@dataclass
class _Host:
    """One interpreter that tasks are forked from, with the modules that it has loaded."""

    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    buffer: bytes = b""


class Processes:
    """Starts the processes of tasks through hosts, which end them all when we are gone.

    Once a task has asked for Spark, tasks are forked from a host that has it loaded.
    """

    def __init__(self, log: Path, sessions: int = 1) -> None:
        self._selector = selectors.DefaultSelector()
        self._log = log
        self._limit = sessions
        self._sessions: Sessions | None = None
        self._hosts: dict[str, _Host] = {}
        self._placed: dict[str, str] = {}
        self._pids: dict[str, int | None] = {}
        self._stopping: set[str] = set()
        self._kill_at: dict[str, float] = {}
        self._ended: list[tuple[str, int]] = []

    def start(self, name: str, request: dict[str, Any]) -> None:
        """Start a process called `name`; see workflows.host for a request."""
        if self._sessions is None:
            self._sessions = Sessions(self._selector, self._log, self._limit)
        spark = self._sessions.ever_asked and request["how"] != "exec"
        modules = SPARK_MODULES if spark else MODULES
        if modules not in self._hosts:
            self._begin(modules)
        environment = {**request["env"], ADDRESS: self._sessions.address}
        message = {**request, "env": environment, "id": name}
        self._pids[name], self._placed[name] = None, modules
        self._hosts[modules].channel.sendall(json.dumps(message).encode() + b"\n")

    def stop(self, name: str) -> None:
        """Tell a process and what it started to end: first asked, then made to."""
        if name not in self._pids or name in self._stopping:
            return
        self._stopping.add(name)
        self._kill_at[name] = time.monotonic() + GRACE_SECONDS
        self._signal(name, signal.SIGTERM)

    def wait(self, seconds: float | None) -> list[tuple[str, int]]:
        """Wait until a process ends or time is over; the names and exit codes of what ended."""
        limits = [] if seconds is None else [seconds]
        if self._kill_at:
            limits.append(max(0.0, min(self._kill_at.values()) - time.monotonic()))
        wake = self._sessions.wake_in() if self._sessions else None
        if wake is not None:
            limits.append(wake)
        for key, _ in self._selector.select(min(limits, default=None)):
            key.data()
        self._kill_overdue()
        if self._sessions is not None:
            self._sessions.tick()
        ended, self._ended = self._ended, []
        return ended

    def _hear(self, modules: str) -> None:
        host = self._hosts[modules]
        received = host.channel.recv(1 << 16)
        if not received:
            self._lost(modules)
            return
        *lines, host.buffer = (host.buffer + received).split(b"\n")
        for line in lines:
            self._heard(json.loads(line))

    def _heard(self, message: dict[str, Any]) -> None:
        name = message["id"]
        if "pid" in message:
            self._pids[name] = message["pid"]
            if name in self._stopping:
                self._signal(name, signal.SIGTERM)
            return
        self._forget(name)
        self._ended.append((name, message["code"]))

    def _forget(self, name: str) -> None:
        self._pids.pop(name, None)
        self._placed.pop(name, None)
        self._kill_at.pop(name, None)
        self._stopping.discard(name)

    def _signal(self, name: str, number: signal.Signals) -> None:
        pid = self._pids.get(name)
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, number)

    def _kill_overdue(self) -> None:
        for name, at in list(self._kill_at.items()):
            if time.monotonic() >= at:
                self._signal(name, signal.SIGKILL)
                del self._kill_at[name]

    def _begin(self, modules: str) -> None:
        ours, theirs = socket.socketpair()
        code = BOOT.format(PACKAGES, theirs.fileno(), modules)
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._hosts[modules] = _Host(process, ours)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._hear(modules))

    def _lost(self, modules: str) -> None:
        """A host has died; its children with it, or they are ended here."""
        for name in [name for name, place in self._placed.items() if place == modules]:
            self._signal(name, signal.SIGKILL)
            self._forget(name)
            self._ended.append((name, LOST))
        self._end_host(self._hosts.pop(modules))

    def _end_host(self, host: _Host) -> None:
        self._selector.unregister(host.channel)
        host.channel.close()
        host.process.wait()

    def close(self) -> None:
        """End every process, and every JVM."""
        for host in self._hosts.values():
            self._end_host(host)
        self._hosts.clear()
        if self._sessions is not None:
            self._sessions.close()
            self._sessions = None
        self._selector.close()
