"""Spark JVMs that outlive their tasks: started when first asked for, lent to one task at a time.

A JVM serves tasks that agree on its settings, variables and folder. It ends with the runner, when
it was idle for long, when a task asked for one of its own, and when a task died that had it.
"""

import json
import os
import selectors
import socket
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IDLE_SECONDS = 600.0
LOOK_SECONDS = 0.05  # how often a JVM that starts is looked at
START_SECONDS = 180.0  # packages may have to be downloaded


@dataclass
class Jvm:
    """One JVM; `place` is where it listens once it does."""

    alike: str
    process: "subprocess.Popen[bytes]"
    info: Path
    began: float
    place: dict[str, Any] | None = None
    lent_to: "_Asker | None" = None
    served: int = 0
    idle_since: float = field(default_factory=time.monotonic)


@dataclass
class _Asker:
    """A task's connection, and what it asked for."""

    channel: socket.socket
    request: dict[str, Any] | None = None
    jvm: Jvm | None = None
    bye: bool = False


class Sessions:
    """The JVMs of one runner, at most `limit` of them."""

    def __init__(self, selector: selectors.BaseSelector, log: Path, limit: int = 1) -> None:
        self._selector = selector
        self._log = log
        self._limit = limit
        self._folder = tempfile.TemporaryDirectory(prefix="sessions-")
        self.address = f"{self._folder.name}/s"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.address)
        self._listener.listen()
        selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._waiting: list[_Asker] = []
        self._jvms: list[Jvm] = []
        self.ever_asked = False

    def wake_in(self) -> float | None:
        """In how many seconds to look again, if time alone changes something."""
        if any(jvm.place is None for jvm in self._jvms):
            return LOOK_SECONDS
        idle = [jvm.idle_since for jvm in self._jvms if jvm.lent_to is None]
        return max(0.0, min(idle) + IDLE_SECONDS - time.monotonic()) if idle else None

    def tick(self) -> None:
        """See which JVMs have started or died, end idle ones, and serve who waits."""
        now = time.monotonic()
        for jvm in list(self._jvms):
            if jvm.place is None:
                jvm.place = _place(jvm.info)
            died = jvm.process.poll() is not None
            slow = jvm.place is None and now - jvm.began > START_SECONDS
            if died or slow or (jvm.lent_to is None and jvm.place and self._is_old(jvm, now)):
                self._end(jvm)
        self._serve()

    def _is_old(self, jvm: Jvm, now: float) -> bool:
        wanted = any(
            asker.request and asker.request["alike"] == jvm.alike for asker in self._waiting
        )
        return now - jvm.idle_since > IDLE_SECONDS and not wanted

    def close(self) -> None:
        """End every JVM."""
        for jvm in list(self._jvms):
            self._end(jvm)
        for asker in self._waiting:
            asker.channel.close()
        self._selector.unregister(self._listener)
        self._listener.close()
        self._folder.cleanup()

    def _accept(self) -> None:
        channel, _ = self._listener.accept()
        asker = _Asker(channel)
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._hear(asker))
        self.ever_asked = True

    def _hear(self, asker: _Asker) -> None:
        """A request, a good-bye, or the end of the connection."""
        try:
            received = asker.channel.recv(1 << 20)
        except ConnectionResetError:
            received = b""
        if not received:
            self._selector.unregister(asker.channel)
            asker.channel.close()
            self._give_back(asker)
        elif asker.request is None:
            while not received.endswith(b"\n"):
                received += asker.channel.recv(1 << 20)
            asker.request = json.loads(received)
            self._waiting.append(asker)
        elif received.startswith(b"bye"):
            asker.bye = True
        self._serve()

    def _give_back(self, asker: _Asker) -> None:
        if asker in self._waiting:
            self._waiting.remove(asker)
        jvm = asker.jvm
        if jvm is not None and jvm in self._jvms:
            jvm.lent_to, jvm.idle_since = None, time.monotonic()
            if not asker.bye or (asker.request and asker.request["fresh"]):
                self._end(jvm)

    def _serve(self) -> None:
        """Lend what is free, and start what is missing, in the order of the requests."""
        for asker in list(self._waiting):
            request = asker.request or {}
            if asker.jvm is None:
                asker.jvm = self._found(request) or self._started(request)
                if asker.jvm is None:
                    continue
                asker.jvm.lent_to = asker
            if asker.jvm not in self._jvms:
                self._waiting.remove(asker)
                _answer(asker, {"error": f"Spark's JVM did not start; see {self._log}"})
            elif asker.jvm.place is not None:
                self._waiting.remove(asker)
                asker.jvm.served += 1
                _answer(asker, {**asker.jvm.place, "warm": asker.jvm.served > 1})

    def _found(self, request: dict[str, Any]) -> Jvm | None:
        if request["fresh"]:
            return None
        free = (jvm for jvm in self._jvms if jvm.lent_to is None and jvm.alike == request["alike"])
        return next(free, None)

    def _started(self, request: dict[str, Any]) -> Jvm | None:
        """A new JVM if there is room, or an idle one can make room."""
        if len(self._jvms) >= self._limit:
            idle = next((jvm for jvm in self._jvms if jvm.lent_to is None), None)
            if idle is None:
                return None
            self._end(idle)
        info = Path(self._folder.name) / f"jvm-{time.monotonic_ns()}"
        environment = {
            **request["env"],
            "_PYSPARK_DRIVER_CONN_INFO_PATH": str(info),
            "SPARK_CONNECT_MODE": "0",
        }
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                request["command"],
                cwd=request["cwd"],
                env=environment,
                stdin=subprocess.PIPE,  # the JVM ends when it closes, so also when we are killed
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        jvm = Jvm(request["alike"], process, info, time.monotonic())
        self._jvms.append(jvm)
        return jvm

    def _end(self, jvm: Jvm) -> None:
        self._jvms.remove(jvm)
        if jvm.process.stdin:
            jvm.process.stdin.close()
        jvm.process.kill()
        jvm.process.wait()


def _answer(asker: _Asker, message: dict[str, Any]) -> None:
    try:
        asker.channel.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return  # the task is gone; its connection says so next


def _place(info: Path) -> dict[str, Any] | None:
    """Where a JVM listens: a port and a secret, each after its length, as Spark writes them."""
    if not info.exists():
        return None
    data = info.read_bytes()
    port, size = struct.unpack("!ii", data[:8])
    os.unlink(info)  # noqa: PTH108
    return {"port": port, "secret": data[8 : 8 + size].decode()}
