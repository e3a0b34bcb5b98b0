"""Whatever dies and however often it is repeated: each event is in the lake once, or accounted."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from given import event
from pyspark.sql import SparkSession
from topics import recreate_topic

import pipelines.io.silver
from pipelines.bronze.events import EVENTS
from pipelines.check import Finding, check_lake
from pipelines.errors import BrokerError, LakehouseError, SourceError
from pipelines.io.checkpoints import SILVER as SILVER_STREAM
from pipelines.io.checkpoints import checkpoint_id
from pipelines.io.ingest import Ingested, ingest
from pipelines.io.lake import checkpoint_path, open_lake
from pipelines.io.read import exists, read
from pipelines.io.silver import write_silver
from pipelines.io.write import Transaction, write
from pipelines.registry import QUARANTINES, SILVER_EVENTS
from pipelines.settings import Settings, load_settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.sources.connection import Kafka
from pipelines.sources.dataset import Dataset, send
from pipelines.sources.stream import require_topic
from pipelines.sources.topic import ensure_topic
from pipelines.table import ORIGIN

TakeIn = Callable[[Settings, Sequence[object]], None]
SILVER = (*SILVER_EVENTS, *QUARANTINES, DROPPED_EVENTS)


def run(spark: SparkSession, settings: Settings) -> Ingested:
    return ingest(spark, settings, lambda stage, count: None)


def produce(settings: Settings, broker: Kafka, name: str, events: Iterable[object]) -> None:
    """Send events with a ledger, as `lakehouse produce` does."""
    pairs = [(b"key", json.dumps(e).encode()) for e in events]
    send(
        Dataset(name, name, lambda: pairs),
        Kafka(settings, broker.check_alive),
        rate=None,
        progress=lambda _: None,
    )


def origins(spark: SparkSession, settings: Settings) -> dict[str, Counter[Any]]:
    """By table, which bronze rows it accounts for."""
    found = {}
    for table in (EVENTS, *SILVER):
        rows = read(spark, settings, table.name).select(*ORIGIN).collect()
        found[table.name] = Counter(map(tuple, rows))
    return {name: counter for name, counter in found.items() if counter}


def events_checks(spark: SparkSession, settings: Settings) -> list[Finding]:
    """What `check` finds about bronze and silver; gold is not refreshed here."""
    return [f for f in check_lake(spark, settings) if not f.name.startswith("gold.")]


def commits(settings: Settings, stream: str) -> list[str]:
    """The batches that a stream has noted as done."""
    folder = Path(checkpoint_path(settings, stream)) / "commits"
    return sorted((f.name for f in folder.iterdir() if f.name.isdigit()), key=int)


def forget_last_commit(settings: Settings, stream: str) -> None:
    """As if the process had died after its last write, before the stream noted it."""
    last = Path(checkpoint_path(settings, stream)) / "commits" / commits(settings, stream)[-1]
    last.unlink()
    last.with_name(f".{last.name}.crc").unlink(missing_ok=True)


# One batch with something for every kind of write: new rows of three tables, a description that
# another one supersedes, a repetition, a reused id, a broken event and a refused one.
MIXED: list[object] = [
    event("click", 1),
    event("click", 1),
    event("purchase", 2),
    event("purchase", 2, quantity=3),
    event("purchase", 3, quantity=0),
    event("item_upsert", 4, title="Old"),
    event("item_upsert", 5, title="New", occurred_at="2017-03-02T10:00:00Z"),
    b"{",
]


@dataclass(frozen=True)
class Mixed:
    """A lake that took `MIXED` in, and its like from before silver did; tests copy them."""

    done: Settings
    before_silver: Settings
    order: list[str]  # of the tables that the batch writes
    expected: dict[str, Counter[Any]]

    @staticmethod
    def copy(settings: Settings, root: Path) -> Settings:
        shutil.copytree(settings.root, root)
        return settings.model_copy(update={"root": str(root)})


@pytest.fixture(scope="module")
def mixed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Mixed:
    folder = tmp_path_factory.mktemp("mixed")
    landing = folder / "landing"  # outside the lake: its path is the source's name
    landing.mkdir()
    lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in MIXED]
    (landing / "mixed.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    given = {"root": str(folder / "lake"), "source.files.path": str(landing)}
    settings = load_settings(
        overrides={"source.kind": "files", "spark.shuffle_partitions": 2, **given}
    )
    open_lake(settings, create=True)
    with pytest.MonkeyPatch.context() as patch:
        dying_before(DROPPED_EVENTS.name, patch)
        died = "silver: stopped: KeyError: 'died before silver.dropped_events'"
        with pytest.raises(SourceError, match=died):
            run(spark, settings)
    before_silver = Mixed.copy(settings, folder / "before-silver")
    with pytest.MonkeyPatch.context() as patch:
        order = dying_before("nothing", patch)
        run(spark, settings)
    assert [f for f in events_checks(spark, settings) if not f.ok] == []
    return Mixed(settings, before_silver, order, origins(spark, settings))


def dying_before(name: str, patch: pytest.MonkeyPatch) -> list[str]:
    """Let a silver batch die when it is about to write that table; returns what it has written."""
    written: list[str] = []

    def write_or_die(df: Any, settings: Settings, table: Any, **options: Any) -> bool:
        if table.name == name:
            raise KeyError(f"died before {name}")
        is_new = write(df, settings, table, **options)
        written.append(table.name)
        return is_new

    def one_by_one(_spark: SparkSession, writes: Iterable[Callable[[], None]]) -> None:
        for run_write in writes:
            run_write()

    patch.setattr(pipelines.io.silver, "write", write_or_die)
    patch.setattr(pipelines.io.silver, "in_parallel", one_by_one)
    return written


def test_batch_that_dies_between_any_of_its_writes_loses_and_doubles_nothing(
    spark: SparkSession, mixed: Mixed, tmp_path: Path
) -> None:
    """Each attempt repeats what is written already and dies one table later.

    The first and the last are the stream's own, those between get the same batch without it.
    """
    lake = Mixed.copy(mixed.before_silver, tmp_path / "lake")
    assert mixed.order[0] == DROPPED_EVENTS.name, "what is dropped must be committed first"
    checkpoint = checkpoint_id(spark, checkpoint_path(lake, SILVER_STREAM))
    transaction = Transaction(f"{SILVER_STREAM}-{checkpoint}", 0, may_repeat=True)
    for count, name in enumerate(mixed.order[1:], start=1):
        with pytest.MonkeyPatch.context() as patch:
            dying_before(name, patch)
            with pytest.raises(KeyError, match=f"died before {name}"):
                write_silver(read(spark, lake, EVENTS.name), lake, transaction)
        written = {table.name for table in SILVER if exists(spark, lake, table.name)}
        assert written == set(mixed.order[:count])
    run(spark, lake)
    assert origins(spark, lake) == mixed.expected


def test_wiped_silver_checkpoint_reads_bronze_again_and_doubles_nothing(
    spark: SparkSession, mixed: Mixed, tmp_path: Path
) -> None:
    lake = Mixed.copy(mixed.done, tmp_path / "lake")
    shutil.rmtree(checkpoint_path(lake, "silver"))
    assert run(spark, lake).silver == len(MIXED)
    assert origins(spark, lake) == mixed.expected


def test_restart_goes_on_where_it_stopped_and_repeated_batches_add_nothing(
    spark: SparkSession, broker: Kafka, kafka_lake: Settings
) -> None:
    produce(kafka_lake, broker, "first", [event("click", n) for n in range(20)])
    assert run(spark, kafka_lake) == Ingested(bronze=20, silver=20)
    streams = (f"bronze-kafka-{kafka_lake.source.kafka.topic}", "silver")
    before = origins(spark, kafka_lake)
    for stream in streams:
        forget_last_commit(kafka_lake, stream)
        assert commits(kafka_lake, stream) == []
    assert run(spark, kafka_lake).silver == 20, "the batch was not repeated"
    assert [commits(kafka_lake, stream) for stream in streams] == [["0"], ["0"]]
    assert origins(spark, kafka_lake) == before

    produce(kafka_lake, broker, "second", [event("purchase", n) for n in range(20, 25)])
    assert run(spark, kafka_lake) == Ingested(bronze=5, silver=5)
    assert run(spark, kafka_lake) == Ingested(bronze=0, silver=0)
    assert [f for f in events_checks(spark, kafka_lake) if not f.ok] == []


def test_events_that_come_again_are_dropped_or_refused_and_accounted(
    spark: SparkSession, lake: Settings, take_in: TakeIn
) -> None:
    newer = "2017-03-02T10:00:00Z"
    take_in(
        lake,
        [
            event("click", 1),
            event("click", 2),
            event("purchase", 3),
            event("item_upsert", 4, title="Newer", occurred_at=newer),
            event("item_upsert", 5, item_id="i2", title="Old"),
        ],
    )
    take_in(
        lake,
        [
            event("click", 1),
            event("click", 2, session_id="another"),
            event("click", 3),
            event("click", 6),
            event("item_upsert", 7, title="Older"),
            event("item_upsert", 8, item_id="i2", title="Newest", occurred_at=newer),
        ],
    )
    assert titles(spark, lake) == {"i1": "Newer", "i2": "Newest"}

    def number(event_id: str) -> int:
        return int(event_id.replace("-", ""), 16)

    dropped = read(spark, lake, DROPPED_EVENTS.name).collect()
    assert {(number(r["event_id"]), r["table_name"], r["reason"]) for r in dropped} == {
        (1, "silver.clicks", "duplicate"),
        (5, "silver.items", "superseded"),
        (7, "silver.items", "superseded"),
    }
    refused = read(spark, lake, "silver.clicks_quarantine").collect()
    assert {number(r["event_id"]): r["reasons"] for r in refused} == {
        2: ["event_id_reused"],
        3: ["event_id_reused"],
    }
    assert {json.loads(r["payload"])["session_id"] for r in refused} == {"another", "s1"}
    sessions = read(spark, lake, "silver.clicks").collect()
    assert {number(r["event_id"]): r["session_id"] for r in sessions} == dict.fromkeys(
        [1, 2, 6], "s1"
    )
    assert [f for f in events_checks(spark, lake) if not f.ok] == []


def titles(spark: SparkSession, settings: Settings) -> dict[str, str]:
    rows = read(spark, settings, "silver.items").select("item_id", "title").collect()
    return dict(map(tuple, rows))  # type: ignore[arg-type]


def test_absent_and_empty_topics_are_named_with_what_to_do(
    spark: SparkSession, kafka_lake: Settings
) -> None:
    kafka = kafka_lake.source.kafka
    with pytest.raises(SourceError, match=f"{kafka.topic} does not exist .*`lakehouse produce`"):
        run(spark, kafka_lake)
    ensure_topic(kafka.bootstrap_servers, kafka.topic, 1)
    with pytest.raises(SourceError, match=f"{kafka.topic}' holds no events; .*produce"):
        run(spark, kafka_lake)


def test_absent_folder_is_named_with_what_to_do(spark: SparkSession, lake: Settings) -> None:
    (Path(lake.root) / "landing").rmdir()
    with pytest.raises(SourceError, match="landing does not exist; create it or set"):
        run(spark, lake)


def test_broker_that_does_not_answer_is_named_soon(kafka_lake: Settings) -> None:
    nobody = kafka_lake.source.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:9"})
    started = time.monotonic()
    with pytest.raises(BrokerError, match=r"no Kafka broker answers at 127\.0\.0\.1:9; start it"):
        require_topic(nobody)
    assert time.monotonic() - started < 15


def test_recreated_topic_stops_the_stream_and_says_what_to_do(
    spark: SparkSession, broker: Kafka, kafka_lake: Settings
) -> None:
    produce(kafka_lake, broker, "before", [event("click", n) for n in range(8)])
    run(spark, kafka_lake)
    before = origins(spark, kafka_lake)
    recreate_topic(kafka_lake)
    shutil.rmtree(kafka_lake.state / "ledger")
    produce(kafka_lake, broker, "after", [event("click", 99)])
    with pytest.raises(LakehouseError) as caught:
        run(spark, kafka_lake)
    assert isinstance(caught.value, SourceError)
    assert "no longer holds the offsets" in str(caught.value)
    assert "source.kafka.topic" in str(caught.value)
    assert origins(spark, kafka_lake) == before
