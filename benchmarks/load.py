"""A load generator for HTTP in a process of its own: `python -m benchmarks.load URL …`.

With a rate it is open-loop: each request has its time beforehand, and its latency counts from then,
whether or not a connection was free (so a server that stalls is charged for all who wait). Without
one, each connection asks again as soon as it is answered. Connections are kept alive.
"""

import argparse
import asyncio
import json
import random
import re
import time
from collections import deque
from urllib.parse import urlsplit

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One connection; asks the next request of its load as soon as it is answered."""

    def __init__(self, load: "Load") -> None:
        self.load, self.buffer, self.due = load, b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def ask(self, due: float) -> None:
        self.due = due
        self.transport.write(self.load.request())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(self.buffer, 0, head)
        end = head + 4 + (int(length[1]) if length else 0)
        if len(self.buffer) < end:
            return
        is_good = self.buffer.startswith(b"HTTP/1.1 200") and len(self.buffer) == end
        self.buffer = b""
        self.load.answered(self, is_good)

    def connection_lost(self, error: Exception | None) -> None:
        self.load.lost()


class Load:
    """Requests to random customers, and what became of them."""

    def __init__(self, url: str, path: str, keys: int, seed: int) -> None:
        self.host, self.port = urlsplit(url).hostname, urlsplit(url).port
        rng = random.Random(seed)  # noqa: S311 # no secret
        self.requests = deque(
            f"GET {path.format(rng.randrange(keys))} HTTP/1.1\r\nhost: {self.host}\r\n\r\n".encode()
            for _ in range(20_000)
        )
        self.latencies: list[float] = []
        self.errors = 0
        self.free: deque[Connection] = deque()
        self.late: deque[float] = deque()  # due, and no connection was free
        self.until = 0.0
        self.is_closed_loop = False

    def request(self) -> bytes:
        self.requests.rotate(-1)
        return self.requests[0]

    def answered(self, connection: Connection, is_good: bool) -> None:
        now = time.perf_counter()
        self.latencies.append(now - connection.due)
        self.errors += not is_good
        if self.is_closed_loop:
            if now < self.until:
                connection.ask(now)
            else:
                self.free.append(connection)
        elif self.late:
            connection.ask(self.late.popleft())
        else:
            self.free.append(connection)

    def lost(self) -> None:
        if time.perf_counter() < self.until:
            self.errors += 1

    async def run(self, connections: int, seconds: float, rate: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, made = await loop.create_connection(lambda: Connection(self), self.host, self.port)
            self.free.append(made)
        started = time.perf_counter()
        self.until = started + seconds
        if rate:
            await self._open(started, rate)
        else:
            self.is_closed_loop = True
            while self.free:
                self.free.popleft().ask(time.perf_counter())
        patience = self.until + 10
        while len(self.free) < connections and time.perf_counter() < patience:
            await asyncio.sleep(0.01)
        self.errors += connections - len(self.free) + len(self.late)
        self.until = 0.0

    async def _open(self, started: float, rate: float) -> None:
        number = 0
        while (due := started + number / rate) < self.until:
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if self.free:
                self.free.popleft().ask(due)
            else:
                self.late.append(due)
                await asyncio.sleep(0)
            number += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--path", default="/v1/recommendations/c{}")
    parser.add_argument("--keys", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rate", type=float, default=0, help="requests/s; 0: flat out")
    parser.add_argument("--connections", type=int, default=16)
    args = parser.parse_args()
    load = Load(args.url, args.path, args.keys, seed=5)
    asyncio.run(load.run(args.connections, args.seconds, args.rate))
    print(json.dumps({"latencies": load.latencies, "errors": load.errors}))


if __name__ == "__main__":
    main()
