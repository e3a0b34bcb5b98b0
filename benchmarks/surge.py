"""`make bench-surge`: a continuous ingest under a steady load, a ten-fold burst, and after it.

The ingest is the real command in a process of its own. First it drains a backlog, which says how
much it can take; the steady load is a fifth of that, unless given, so that the burst is twice what
it can take. How far it is behind is what was sent less what silver has taken in.
"""

import argparse
import itertools
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import psutil
from confluent_kafka import Producer
from pyspark.sql import DataFrame

from benchmarks.ingest import PARTITIONS, fill
from benchmarks.sale_day import sale_day
from pipelines.bronze.events import EVENTS
from pipelines.io.lake import open_lake
from pipelines.io.read import read
from pipelines.io.session import spark_session
from pipelines.registry import QUARANTINES, SILVER_EVENTS
from pipelines.running import end_on_signals
from pipelines.settings import Settings, load_settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.sources.connection import kafka
from pipelines.sources.topic import end_offsets
from pipelines.streams import StreamState, load_streams
from pipelines.table import ORIGIN

TICK_S = 0.05
SAMPLE_S = 0.5
GIVE_UP_S = 900
CALM_BATCHES = 4  # of silver under steady load: between two of them it falls behind a little


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backlog", type=int, default=3_000_000, help="events to drain first")
    parser.add_argument("--rate", type=int, default=0, help="steady events/s; 0: capacity / 5")
    parser.add_argument("--fold", type=int, default=10, help="burst / steady load")
    parser.add_argument("--steady-s", type=int, default=60)
    parser.add_argument("--burst-s", type=int, default=60)
    args = parser.parse_args()
    end_on_signals()  # so that the ingest and its broker end too
    with tempfile.TemporaryDirectory(prefix="bench-surge-") as folder:
        settings = load_settings(overrides={"root": f"{folder}/lake"})
        open_lake(settings, create=True)
        with kafka(settings) as broker:
            servers = broker.settings.source.kafka.bootstrap_servers
            fill(servers, settings.source.kafka.topic, args.backlog)
        with Ingest(settings, args.backlog) as ingest:
            capacity = drained(ingest)
            rate = args.rate or int(capacity / 5)
            print(
                f"capacity {capacity:,.0f} events/s; load {rate:,}/s, then {args.fold} times that"
            )
            with payloads(Path(folder), rate * args.fold * args.burst_s) as burst:
                ratio, peak = surge(ingest, rate, args.steady_s, (burst, args.fold), capacity)
        lost, doubled = accounts(settings)
    print(f"surge backlog_ratio={ratio:.2f} peak_mb={peak} lost={lost} doubled={doubled}")


@dataclass(frozen=True)
class Sample:
    at: float  # time.monotonic()
    phase: str
    behind: int  # events sent that silver has not taken in
    batch: int  # number of silver's last batch
    memory_mb: int  # of the ingest and all that it started, its broker too


class Ingest:
    """`lakehouse ingest --continuous` while the block runs, sampled twice a second."""

    def __init__(self, settings: Settings, sent: int) -> None:
        self.settings, self.sent, self.phase = settings, sent, "drain"
        self.samples: list[Sample] = []
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "Ingest":
        command = [sys.executable, "-m", "pipelines", "ingest", "--continuous"]
        self._process = subprocess.Popen(
            [*command, "--root", self.settings.root], stderr=subprocess.PIPE, text=True
        )
        self._sampler.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._sampler.join()
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=120)

    @property
    def servers(self) -> str:
        """The address of the broker that the ingest runs."""
        text = (self.settings.state / "broker" / "server.properties").read_text()
        found = re.search(r"^listeners=PLAINTEXT://([^,]+)", text, flags=re.MULTILINE)
        assert found
        return found[1]

    def until(self, behind: int) -> float:
        """Wait until silver is no further behind than this; returns the time of it."""
        deadline = time.monotonic() + GIVE_UP_S
        while not self.samples or self.samples[-1].behind > behind:
            assert time.monotonic() < deadline, f"still {self.samples[-1].behind:,} events behind"
            if self._process.poll() is not None:
                sys.exit(f"the ingest ended: {self._process.communicate()[1][-2000:]}")
            time.sleep(SAMPLE_S)
        return self.samples[-1].at

    def of(self, phase: str) -> list[Sample]:
        return [sample for sample in self.samples if sample.phase == phase]

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            found = {s.stream: s for s in load_streams(self.settings.state)}
            silver = found.get("silver", StreamState("silver"))
            memory, behind = tree_mb(self._process.pid), self.sent - silver.rows
            sample = Sample(time.monotonic(), self.phase, behind, silver.batch, memory)
            self.samples.append(sample)


def tree_mb(pid: int) -> int:
    """Memory of a process and all that it started; what they share counts once.

    By resident memory a JVM would count twice for the moment in which it starts a program.
    """
    total = 0
    try:
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.NoSuchProcess:
        pass
    return total >> 20


def drained(ingest: Ingest) -> float:
    """Events/s at which a backlog goes, from the end of the first silver batch on."""
    end = ingest.until(0)
    first = next(s for s in ingest.samples if s.behind < ingest.sent)
    if first.behind <= 0:
        sys.exit("the backlog was one batch; make it larger with --backlog")
    return first.behind / (end - first.at)


def surge(
    ingest: Ingest,
    rate: int,
    steady_s: int,
    burst: tuple[Iterator[bytes], int],
    capacity: float,
) -> tuple[float, int]:
    """Load, burst and load again; returns the backlog's time over the ideal one, and peak MB."""
    producer = Producer({"bootstrap.servers": ingest.servers, "linger.ms": 20,
                         "queue.buffering.max.messages": 1_000_000})  # fmt: skip
    steady = sale_day(1 << 40, seed=19)
    ingest.phase, until = "before", time.monotonic() + steady_s
    batches = ingest.samples[-1].batch + CALM_BATCHES

    def is_calm() -> bool:
        return time.monotonic() > until and ingest.samples[-1].batch >= batches

    send(ingest, producer, itertools.takewhile(lambda _: not is_calm(), steady), rate)
    calm = max(sample.behind for sample in ingest.of("before"))
    ingest.phase = "burst"
    send(ingest, producer, burst[0], rate * burst[1])
    ended, backlog = time.monotonic(), ingest.samples[-1].behind
    ingest.phase, gone = "after", threading.Event()
    rest = itertools.takewhile(lambda _: not gone.is_set(), steady)
    sending = threading.Thread(target=send, args=(ingest, producer, rest, rate))
    sending.start()
    seconds = ingest.until(calm) - ended
    gone.set()
    sending.join()
    ingest.until(0)
    ideal = max(0, backlog - calm) / (capacity - rate)
    report(ingest)
    print(
        f"backlog {backlog:,} events, {calm:,} at most before: gone in {seconds:.1f} s, "
        f"{ideal:.1f} s by spare capacity"
    )
    peak = max(sample.memory_mb for sample in ingest.samples)
    return (seconds / ideal if ideal else 0.0), peak


@contextmanager
def payloads(folder: Path, count: int) -> Iterator[Iterator[bytes]]:
    """Events made beforehand: making them would take a core from what is measured."""
    file = folder / "payloads"
    with file.open("wb") as sink:
        sink.writelines(payload + b"\n" for payload in sale_day(count, seed=18))
    with file.open("rb") as source:
        yield (line[:-1] for line in source)
    file.unlink()


def send(ingest: Ingest, producer: Producer, events: Iterator[bytes], load: int) -> None:
    """Send events at an even pace, as many a second as `load` says."""
    started, sent = time.monotonic(), 0
    while chunk := list(itertools.islice(events, max(1, int(load * TICK_S)))):
        for payload in chunk:
            producer.produce(
                ingest.settings.source.kafka.topic, payload, partition=sent % PARTITIONS
            )
            sent += 1
        producer.poll(0)
        ingest.sent += len(chunk)
        time.sleep(max(0.0, started + sent / load - time.monotonic()))
    assert producer.flush(30) == 0


def report(ingest: Ingest) -> None:
    """Print how far silver was behind over time, and the memory of each phase."""
    start = ingest.of("before")[0].at
    for sample in ingest.samples[:: int(5 / SAMPLE_S)]:
        if sample.at >= start:
            print(f"{sample.at - start:6.0f} s  {sample.phase:7} {sample.behind:10,} events behind")
    for phase in ("drain", "before", "burst", "after"):
        found = [sample.memory_mb for sample in ingest.of(phase)]
        print(f"memory {phase:7} {found[-1]:6,} MB at its end, {max(found):6,} MB at most")


def accounts(settings: Settings) -> tuple[int, int]:
    """Events of the topic that the lake does not account for, and those it has more than once."""
    with kafka(settings) as broker:
        source = broker.settings.source.kafka
        sent = sum(end_offsets(source.bootstrap_servers, source.topic).values())
    spark = spark_session(settings)
    silver = (*SILVER_EVENTS, *QUARANTINES, DROPPED_EVENTS, LATE_EVENTS)
    lost = doubled = 0
    for tables in ((EVENTS,), silver):
        parts = [read(spark, settings, table.name).select(*ORIGIN) for table in tables]
        origins = reduce(DataFrame.unionByName, parts)
        rows, distinct = origins.count(), origins.distinct().count()
        lost, doubled = max(lost, sent - distinct), max(doubled, rows - distinct)
    spark.stop()
    return lost, doubled


if __name__ == "__main__":
    main()
