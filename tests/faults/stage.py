"""Where faults happen: a broker, a topic with its ledger, a lake, and a worker that serves it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import duckdb
from deltalake.exceptions import DeltaError
from disk import SILVER, Disk, Stream, streams
from invariants import Lake, i8_files_are_there
from ledger import (
    drift_of_money,
    i1_bronze_is_the_ledger,
    i2_each_row_stands_where_it_must,
    i5_stock_is_what_moved,
    open_ledger,
)
from own_gold import OWN, i3_gold_is_recomputed
from processes import Answer, Worker, producer
from protocol import (
    i6_refreshes_leave_no_gap,
    i7_streams_fit_their_tables,
    i8_checksums_hold,
    i9_every_version_is_whole,
)
from redis_server import RedisServer
from report import Tally

from pipelines.sources.broker import LocalBroker

HOT = ("sales_hourly", "current_prices", "inventory_levels", "item_funnel")
ATTEMPTS = 4


@dataclass
class Stage:
    """One lake under fault, and what it is held against."""

    folder: Path
    project: Path
    topic: str
    servers: str
    seed: int
    tally: Tally
    slice: int
    events: int
    broker: LocalBroker | None = None  # if it is the stage's own, and may be killed
    redis: RedisServer | None = None
    root: Path = Path()
    worker: Worker = field(init=False)
    sent: int = 0
    seen: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draw = Random(self.seed)
        self.worker = Worker(self.project, self.root)
        self.move(self.folder / "lake")

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger.jsonl"

    @property
    def bronze(self) -> Stream:
        return streams(self.topic)["bronze"]

    @property
    def silver(self) -> Stream:
        return streams(self.topic)[SILVER]

    def move(self, root: Path) -> None:
        """Go on with another lake."""
        self.root = self.worker.root = root
        self.disk = Disk(root)

    def send(self, count: int = 0) -> None:
        """Send the next slice, and wait until the ledger has it."""
        first, self.sent = self.sent, self.sent + (count or self.slice)
        begun = producer(self.servers, self.topic, self.ledger, self.seed, first, self.sent)
        assert begun.wait(200) == 0, "the producer did not end"

    def restart_broker(self) -> None:
        """The broker again, on its port and its data, after it was killed."""
        assert self.broker
        port = int(self.servers.rsplit(":", 1)[1])
        self.broker.__exit__(None, None, None)
        again = LocalBroker(self.broker.folder.parent, port=port)
        again.__enter__()
        self.broker = again

    def recover(
        self, *command: str, since: float | None = None, root: Path | None = None
    ) -> Answer:
        """Run a command again, as its error says, until it succeeds; the time is kept."""
        begun = time.monotonic() if since is None else since
        arguments = command
        for _ in range(ATTEMPTS):
            done = self.worker.run(*arguments, root=root)
            if done.code == 0:
                self.tally.recoveries.append(time.monotonic() - begun)
                return done
            if "--resume-from-bronze" in done.err:
                arguments = (*command, "--resume-from-bronze")
        self.tally.found([f"{' '.join(command)} does not recover: {done.err[-600:]}"], "a fault")
        return done

    def ingest(self) -> None:
        """Take in what was sent; nothing is wrong now."""
        done = self.worker.run("ingest")
        if done.code:
            self.tally.found([f"ingest failed: {done.err[-600:]}"], "no fault")

    def refresh(self, *views: str) -> None:
        done = self.worker.run("refresh", *views)
        if done.code:
            self.tally.found([f"refresh failed: {done.err[-600:]}"], "no fault")

    def check(self, where: str) -> None:
        """What can be asked at any time: bronze and silver against the ledger."""
        self.tally.found(held_against(self.root, self.ledger), where)

    def varieties_in_bronze(self) -> dict[str, int]:
        """Of each variety of message, how many rows of bronze the ledger knows."""
        lake = Lake(self.root)
        lake.open()
        open_ledger(lake, self.ledger)
        rows = lake.ask("SELECT kind, count(*) FROM expected GROUP BY ALL")
        return {str(kind): int(str(count)) for kind, count in rows}

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Beside the block, one that reads a view again and again, and keeps what it saw."""
        ended = threading.Event()

        def read() -> None:
            while not ended.wait(1.0):
                try:
                    self._read_once()
                except (DeltaError, duckdb.Error, OSError) as error:
                    if self.disk.version("gold.sales_hourly") >= 0:
                        self.tally.found([f"I9: a reader failed: {error}"], "a read")

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _read_once(self) -> None:
        if self.disk.version("gold.sales_hourly") < 0:
            return
        lake = Lake(self.root, only=("gold.sales_hourly",))
        lake.open()
        if lake.has("gold.sales_hourly"):
            sql = "SELECT sum(revenue_cents), sum(purchase_count) FROM gold__sales_hourly"
            ((cents, rows),) = lake.ask(sql)
            version = lake.tables["gold.sales_hourly"].version()
            self.seen[version] = (int(str(cents)), int(str(rows)))


def held_against(root: Path, ledger: Path, *, late_may_stand: bool = False) -> list[str]:
    """Bronze and silver against the ledger, files against logs."""
    lake = Lake(root)
    if found := list(i8_files_are_there(lake)):
        return found
    lake.open()
    open_ledger(lake, ledger)
    found += i1_bronze_is_the_ledger(lake)
    found += i2_each_row_stands_where_it_must(lake, late_may_stand=late_may_stand)
    return found


@dataclass(frozen=True)
class Held:
    """What is broken, minor units of drift, and how many of the views are as recomputed."""

    broken: list[str]
    drift: int = 0
    views: int = 0
    of: int = 0


def everything(
    root: Path,
    ledger: Path,
    seen: dict[int, tuple[int, int]],
    *,
    late_may_stand: bool = False,
) -> Held:
    """All invariants of a lake whose views are up to date."""
    lake = Lake(root)
    found = list(i8_checksums_hold(lake))
    if found:
        return Held(found)
    lake.open()
    open_ledger(lake, ledger)
    found += i1_bronze_is_the_ledger(lake)
    found += i2_each_row_stands_where_it_must(lake, late_may_stand=late_may_stand)
    wrong = list(i3_gold_is_recomputed(lake))
    drift = drift_of_money(lake)
    if drift:
        found.append(f"I4: {drift} minor units of drift")
    found += wrong
    found += i5_stock_is_what_moved(lake)
    found += i6_refreshes_leave_no_gap(lake, list(OWN))
    found += i7_streams_fit_their_tables(lake)
    found += i9_every_version_is_whole(lake, seen)
    held = sum(lake.has(f"gold.{view}") for view in OWN)
    return Held(found, drift, held - len(wrong), held)
