"""`make bench-ingest`: this pipeline beside the guides' and beside librdkafka + Polars + delta-rs.

All take in the same topic. Each run is a process of its own with an empty lake; Spark is warmed up
on a small topic first, which is not timed. The order of the candidates turns with every round.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer

from benchmarks.ingest_peers import FLOORS, RUNS, Timed
from benchmarks.sale_day import SHARE_BROKEN, SHARE_RESENT, sale_day
from pipelines.settings import load_settings
from pipelines.sources.broker import LocalBroker
from pipelines.sources.topic import ensure_topic

TOPIC, WARM_UP, PARTITIONS = "sale-day", "warm-up", 4
CORES = 2
TIMED = ("ours", "guide", "guide-tuned", "polars")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*TIMED, *FLOORS])
    parser.add_argument("--run", nargs=3, metavar=("NAME", "SERVERS", "FOLDER"))
    parser.add_argument("--memory", default="3g")
    args = parser.parse_args()
    if args.run:
        name, servers, folder = args.run
        timed = RUNS[name](servers, Path(folder), WARM_UP, TOPIC)
        print(json.dumps(timed.__dict__))
        return
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as folder:
        compare(Path(folder), args.events, args.rounds, args.only)


def compare(folder: Path, events: int, rounds: int, names: list[str]) -> None:
    """Run every candidate `rounds` times and print the medians."""
    root = folder / "kafka"
    root.mkdir()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, int] = {}
    with LocalBroker(load_settings(overrides={"root": str(root)}).state) as broker:
        servers = broker.bootstrap_servers
        size = fill(servers, TOPIC, events)
        fill(servers, WARM_UP, min(300_000, events))
        print(
            f"{events:,} events of {size:.0f} B, {SHARE_RESENT:.1%} sent twice, "
            f"{SHARE_BROKEN:.1%} broken, {PARTITIONS} partitions, {rounds} rounds"
        )
        for number in range(rounds):
            for name in names if number % 2 == 0 else reversed(names):
                if name in FLOORS and number:
                    continue
                timed = run(name, servers, folder)
                seconds[name].append(timed.seconds)
                peaks[name] = max(peaks.get(name, 0), timed.peak_mb)
                print(f"  {name}: {timed.seconds:.1f} s, peak {timed.peak_mb:,} MB", flush=True)
    report(events, seconds, peaks)


def fill(servers: str, topic: str, events: int) -> float:
    """Send a sale day; returns the mean size of an event in bytes."""
    ensure_topic(servers, topic, PARTITIONS)
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "linger.ms": 50,
            "enable.idempotence": True,
            "queue.buffering.max.messages": 500_000,
        }
    )
    total = 0
    for number, payload in enumerate(sale_day(events)):
        total += len(payload)
        while True:
            try:
                producer.produce(topic, payload, partition=number % PARTITIONS)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 1000 == 0:
            producer.poll(0)
    producer.flush()
    return total / events


def run(name: str, servers: str, folder: Path) -> Timed:
    """One candidate in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder, prefix=f"{name}-") as lake:
        command = [sys.executable, "-m", "benchmarks.ingest", "--run", name, servers, lake]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
    time.sleep(1)  # let the machine write back what it has cached
    return Timed(**json.loads(done.stdout.splitlines()[-1]))


def report(events: int, seconds: dict[str, list[float]], peaks: dict[str, int]) -> None:
    """Print a line per candidate, and last the ratios."""
    rate = {name: events / statistics.median(times) for name, times in seconds.items() if times}
    print(f"{'candidate':14} {'events/s':>10} {'per core':>10} {'peak MB':>8}  seconds")
    for name, found in rate.items():
        times = ", ".join(f"{t:.1f}" for t in seconds[name])
        print(f"{name:14} {found:10,.0f} {found / CORES:10,.0f} {peaks[name]:8,}  {times}")
    if not {"ours", "guide", "polars", *FLOORS} <= rate.keys():
        return
    # What no way of doing it can avoid, done one after the other: drain, parse, write both.
    floor = 1 / sum(1 / rate[name] for name in FLOORS)
    print(
        f"ingest ratio_vs_guide={rate['ours'] / rate['guide']:.2f} "
        f"ratio_vs_polars={rate['ours'] / rate['polars']:.2f} "
        f"fraction_of_floor={rate['ours'] / floor:.2f} "
        f"cores_for_1M_per_s={1_000_000 / rate['ours'] * CORES:.1f}"
    )


if __name__ == "__main__":
    main()
