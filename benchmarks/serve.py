"""`make bench-serve`: recommendations of this API beside a plain one, and the floors of both.

The load comes from a process of its own (`benchmarks.load`), flat out and open-loop at fixed rates.
Each server is one process. Peers and floors are in `benchmarks.serve_peers`; `redis-benchmark` asks
the same Redis server for the same values, without HTTP.
"""

import argparse
import contextlib
import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import redis

from benchmarks.percentile import percentile
from pipelines.settings import load_settings
from serving.lmdb_store import LmdbStore
from serving.online import Change

KINDS = ("bought", "taste", "short")
START_S = 60


@dataclass(frozen=True)
class Measured:
    """What a load found: requests/s, sorted latencies in ms, errors, CPU ms for each request."""

    per_s: float
    latencies: list[float]
    errors: int
    cpu_ms: float


@dataclass(frozen=True)
class Server:
    name: str
    url: str
    pid: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=10, help="of each load")
    parser.add_argument("--rounds", type=int, default=3, help="of each server flat out")
    parser.add_argument("--rates", type=int, nargs="*", default=[200, 500, 1000])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-serve-") as folder, ExitStack() as until_done:
        root = Path(folder)
        lookups = filled_store(root, args.customers)
        url = until_done.enter_context(filled_redis(root, args.customers))
        peers = [sys.executable, "-m", "benchmarks.serve_peers"]
        serve = [sys.executable, "-m", "pipelines", "serve", "--root", str(root), "--port", "0"]
        commands = {
            "this": serve,
            "plain": [*peers, "plain", url],
            "constant": [*peers, "constant"],
        }
        servers = [
            until_done.enter_context(running(name, command)) for name, command in commands.items()
        ]
        flat = flat_out(servers, args.customers, args.seconds, args.rounds)
        at = {
            (server.name, rate): asked(server, args.customers, args.seconds, rate)
            for rate in args.rates
            for server in servers
        }
        for (name, rate), found in at.items():
            tell(f"{name} {rate}/s", found)
        bare_redis(url, args.seconds)
        size = sum(file.stat().st_size for file in (root / "_state").rglob("data.mdb"))
        print(
            f"memory per million customers: store {size / args.customers * 1e6 / (1 << 20):,.0f} MB"
        )
    errors = sum(found.errors for (name, _), found in at.items() if name == "this")
    errors += sum(found.errors for found in flat["this"])
    ratio = rate_of(flat["this"]) / rate_of(flat["plain"])
    p99 = percentile(at["this", 500].latencies, 99) if ("this", 500) in at else float("nan")
    print(
        f"serve ratio_vs_plain={ratio:.2f} p99_ms_at_500rps={p99:.2f} errors={errors}"
        f" store_lookups_per_s={lookups:.0f}"
    )


def entry(rng: random.Random) -> dict[str, Any]:
    """Twenty recommendations as they are published."""
    return {
        "items": [
            {
                "item_id": str(rng.randrange(10**6, 10**7)),
                "rank": rank,
                "title": f"A product of a usual name {rng.randrange(10**4)}",
                "category": f"CATEGORY {rng.randrange(300)}",
                "score": round(rng.random(), 4),
                "reason": "customers with similar baskets bought it",
            }
            for rank in range(1, 21)
        ]
    }


def entries(customers: int) -> Iterator[tuple[str, Any]]:
    rng = random.Random(7)  # noqa: S311 # no secret
    return ((f"c{n}", entry(rng)) for n in range(customers))


def filled_store(root: Path, customers: int) -> float:
    """The store that the API reads, live kinds too; returns look-ups/s of one thread."""
    store = LmdbStore(root / "_state" / "online")
    at = datetime.now(UTC)
    store.publish("recommendations", entries(customers), version="1", published_at=at)
    store.publish("popular", [("all", entry(random.Random(8)))], version="1", published_at=at)  # noqa: S311
    # As where reactions run: the kinds exist, and the look-ups for them are made.
    empty = {"bought": {"items": {}}, "taste": {"clicks": []}}
    short = {"regions": {}, "everywhere": False}
    store.apply(Change(kind, "other", empty.get(kind, short), at) for kind in KINDS)
    keys = [f"c{random.randrange(customers)}" for _ in range(20_000)]  # noqa: S311
    started = time.perf_counter()
    for key in keys:
        assert store.get("recommendations", key) is not None
    seconds = time.perf_counter() - started
    store.close()
    (root / "_state" / "lake.json").write_text('{"format_version": 1}\n')
    assert load_settings(overrides={"root": str(root)}).state == root / "_state"
    return len(keys) / seconds


@contextlib.contextmanager
def filled_redis(root: Path, customers: int) -> Iterator[str]:
    """A Redis server of our own with the same entries; its URL, a socket on this machine."""
    folder = root / "redis"
    folder.mkdir()
    command = ["redis-server", "--port", "0", "--unixsocket", str(folder / "socket")]
    more = ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    with subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL) as server:
        url = f"unix://{folder}/socket"
        client: Any = redis.Redis.from_url(url)
        for _ in range(200):
            with contextlib.suppress(redis.ConnectionError):
                client.ping()
                break
            time.sleep(0.05)
        pipe = client.pipeline(transaction=False)
        for key, value in entries(customers):
            pipe.set(f"recommendations:{key}", json.dumps(value))
            if len(pipe) >= 1000:
                pipe.execute()
        pipe.execute()
        try:
            yield url
        finally:
            server.kill()


@contextlib.contextmanager
def running(name: str, command: list[str]) -> Iterator[Server]:
    """A server in a process of its own, once it has told its URL."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        try:
            assert process.stdout
            told = process.stdout.readline()
            found = re.search(r"http://[\d.]+:\d+", told)
            if found is None:
                sys.exit(f"{name} did not start: {told}")
            yield Server(name, found[0], process.pid)
        finally:
            process.kill()


def asked(server: Server, keys: int, seconds: float, rate: float = 0) -> Measured:
    """Put a load on a server."""
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    options = ["--keys", str(keys), "--seconds", str(seconds), "--rate", str(rate)]
    command = [sys.executable, "-m", "benchmarks.load", server.url, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = process.cpu_times()
    found = json.loads(done.stdout)
    cpu = after.user + after.system - before.user - before.system
    latencies = sorted(1000 * one for one in found["latencies"])
    count = max(1, len(latencies))
    return Measured(len(latencies) / seconds, latencies, found["errors"], 1000 * cpu / count)


def flat_out(
    servers: list[Server], keys: int, seconds: float, rounds: int
) -> dict[str, list[Measured]]:
    """Rounds of each server flat out, every other one in reverse order, after one to warm up."""
    found: dict[str, list[Measured]] = {server.name: [] for server in servers}
    for server in servers:
        asked(server, keys, min(2.0, seconds))
    for number in range(rounds):
        for server in servers[:: -1 if number % 2 else 1]:
            measured = asked(server, keys, seconds)
            found[server.name].append(measured)
            tell(f"{server.name} flat out", measured)
    return found


def rate_of(rounds: list[Measured]) -> float:
    return median(one.per_s for one in rounds)


def tell(name: str, found: Measured) -> None:
    spread = "  ".join(f"p{p} {percentile(found.latencies, p):7.2f}" for p in (50, 99, 99.9))
    print(
        f"{name:16} {found.per_s:8,.0f} requests/s  {spread} ms  {found.cpu_ms:6.3f} ms CPU each"
        f"  {found.errors} errors",
        flush=True,
    )


def bare_redis(url: str, seconds: float) -> None:
    """`redis-benchmark` on the same server, 16 connections."""
    command = ["redis-benchmark", "-s", url.removeprefix("unix://"), "-c", "16", "-q"]
    requests = str(int(10_000 * seconds))
    done = subprocess.run(
        [*command, "-n", requests, "GET", "recommendations:c1"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    print(f"redis-benchmark  {done.stdout.replace(chr(13), chr(10)).strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()
