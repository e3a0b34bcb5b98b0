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
from pathlib import Path
from typing import Any

from workflows.host import GRACE_SECONDS

PACKAGES = str(Path(__file__).resolve().parent.parent)
BOOT = "import sys; sys.path.insert(0, {!r}); from workflows.host import main; main({})"
LOST = -1000  # no exit code of a process: its host is gone


class Processes:
    """Starts the processes of tasks through a host, which ends them all when we are gone."""

    def __init__(self) -> None:
        self._host: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._selector = selectors.DefaultSelector()
        self._buffer = b""
        self._pids: dict[str, int | None] = {}
        self._stopping: set[str] = set()
        self._kill_at: dict[str, float] = {}

    def start(self, name: str, request: dict[str, Any]) -> None:
        """Start a process called `name`; see workflows.host for a request."""
        if self._channel is None:
            self._begin()
        self._pids[name] = None
        channel = self._channel
        if channel is not None:
            channel.sendall(json.dumps({**request, "id": name}).encode() + b"\n")

    def stop(self, name: str) -> None:
        """Tell a process and what it started to end: first asked, then made to."""
        if name not in self._pids or name in self._stopping:
            return
        self._stopping.add(name)
        self._kill_at[name] = time.monotonic() + GRACE_SECONDS
        self._signal(name, signal.SIGTERM)

    def wait(self, seconds: float | None) -> list[tuple[str, int]]:
        """Wait until a process ends or time is over; the names and exit codes of what ended."""
        if self._kill_at:
            left = max(0.0, min(self._kill_at.values()) - time.monotonic())
            seconds = left if seconds is None else min(seconds, left)
        if self._channel is None:
            time.sleep(seconds or 0)
            return []
        received = self._channel.recv(1 << 16) if self._selector.select(seconds) else None
        self._kill_overdue()
        if received is None:
            return []
        if not received:
            return self._lost()
        *lines, self._buffer = (self._buffer + received).split(b"\n")
        return [ended for line in lines if (ended := self._heard(json.loads(line)))]

    def _heard(self, message: dict[str, Any]) -> tuple[str, int] | None:
        name = message["id"]
        if "pid" in message:
            self._pids[name] = message["pid"]
            if name in self._stopping:
                self._signal(name, signal.SIGTERM)
            return None
        self._forget(name)
        return name, message["code"]

    def _forget(self, name: str) -> None:
        self._pids.pop(name, None)
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

    def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        code = BOOT.format(PACKAGES, theirs.fileno())
        self._host = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        self._channel = ours
        self._selector.register(ours, selectors.EVENT_READ)

    def _lost(self) -> list[tuple[str, int]]:
        """The host has died; its children with it, or they are ended here."""
        names = list(self._pids)
        for name in names:
            self._signal(name, signal.SIGKILL)
            self._forget(name)
        self.close()
        return [(name, LOST) for name in names]

    def close(self) -> None:
        """End the host and every process."""
        if self._channel is not None:
            self._selector.unregister(self._channel)
            self._channel.close()
            self._channel = None
        if self._host is not None:
            self._host.wait()
            self._host = None
        self._buffer = b""
        self._pids.clear()
        self._kill_at.clear()
        self._stopping.clear()
