"""What was refused or came late goes through the same path again, each event exactly once."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from given import event
from pyspark.sql import SparkSession

import pipelines.io.replay
import pipelines.io.silver
from pipelines.bronze.events import EVENTS
from pipelines.check import check_lake
from pipelines.errors import CorrectionError, LockedError, RegistryError
from pipelines.io.corrections import export
from pipelines.io.ingest import ingest
from pipelines.io.lake import locks, open_lake
from pipelines.io.read import read, version_of
from pipelines.io.replay import Replayed, kept_rows, replay, replayable
from pipelines.io.write import remove, write
from pipelines.registry import NAMES
from pipelines.settings import Settings, load_settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.upkeep_commands import replay_quarantine

NOW, IN_TIME, TOO_LATE = (f"2017-06-{day:02}T10:00:00Z" for day in (20, 14, 12))  # 7 days apart

FIRST = [event("click", number, occurred_at=NOW) for number in (1, 2, 3)]
THEN: list[object] = [
    event("click", 1, occurred_at=NOW, session_id="another"),
    event("purchase", 10, occurred_at=NOW, quantity=0),
    event("purchase", 11, occurred_at=NOW, currency="usd"),
    event("purchase", 12, occurred_at=NOW, quantity=-1, price_cents=-1),
    event("purchase", 13, occurred_at=NOW, quantity=0),
    event("purchase", 14, occurred_at=NOW),
    event("click", 20, occurred_at=IN_TIME),
    event("click", 21, occurred_at=TOO_LATE),
    event("purchase", 22, occurred_at="2016-06-20T10:00:00Z"),
    event("item_upsert", 23, occurred_at="2016-06-20T10:00:00Z"),  # no fact: it is never late
    b"{",
    b"\xff\x00",
]
REFUSED_PURCHASES = 4


@pytest.fixture(scope="module")
def refusing(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake that took in two files and refused, parked or dropped some of it."""
    folder = tmp_path_factory.mktemp("refusing")
    (folder / "landing").mkdir()  # outside the lake: its path is the source's name
    given = {"root": str(folder / "lake"), "source.files.path": str(folder / "landing")}
    settings = load_settings(
        overrides={"source.kind": "files", "spark.shuffle_partitions": 2, **given}
    )
    open_lake(settings, create=True)
    for number, events in enumerate([FIRST, THEN]):
        lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        (folder / "landing" / f"{number}.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        ingest(spark, settings, lambda stage, count: None)
    return settings


@pytest.fixture
def copied(refusing: Settings, tmp_path: Path) -> Settings:
    shutil.copytree(refusing.root, tmp_path / "lake")
    return refusing.model_copy(update={"root": str(tmp_path / "lake")})


def ids(spark: SparkSession, settings: Settings, name: str) -> list[int]:
    """The numbers of the events in a table."""
    rows = read(spark, settings, name).select("event_id").collect()
    return sorted(int(row["event_id"].replace("-", ""), 16) for row in rows if row["event_id"])


def unsound(spark: SparkSession, settings: Settings) -> list[str]:
    """What `check` finds amiss; gold is not refreshed here."""
    findings = check_lake(spark, settings)
    return [f"{f.name}: {f.detail}" for f in findings if not f.ok and "gold." not in f.name]


def corrected(file: Path, changed: Callable[[dict[str, Any]], object | None]) -> Path:
    """Lines of an export with what `changed` makes of each event; those without are left out."""
    lines = []
    for line in map(json.loads, file.read_text().splitlines()):
        payload = changed(json.loads(line["payload"]))
        if payload is not None:
            lines.append(json.dumps({**line, "payload": json.dumps(payload)}))
    file.write_text("\n".join(lines) + "\n")
    return file


def exported(spark: SparkSession, settings: Settings, name: str, file: Path) -> Path:
    export(kept_rows(spark, settings, replayable(name)), file)
    return file


def test_late_events_are_parked_and_taken_in_by_a_replay(
    spark: SparkSession, copied: Settings
) -> None:
    assert ids(spark, copied, LATE_EVENTS.name) == [21, 22]
    assert ids(spark, copied, "silver.clicks") == [1, 2, 3, 20]
    assert ids(spark, copied, "silver.items") == [23]
    parked = read(spark, copied, LATE_EVENTS.name).collect()
    assert {(row["table_name"], *row["reasons"]) for row in parked} == {
        ("silver.clicks", "late"),
        ("silver.purchases", "late"),
    }
    assert all(f"{row['watermark']:%Y-%m-%d}" == "2017-06-20" for row in parked)

    done = replay(spark, copied, LATE_EVENTS)
    assert done == Replayed(LATE_EVENTS.name, replayed=2, taken_in=2)
    assert ids(spark, copied, LATE_EVENTS.name) == []
    assert ids(spark, copied, "silver.clicks") == [1, 2, 3, 20, 21]
    assert ids(spark, copied, "silver.purchases") == [14, 22]
    assert unsound(spark, copied) == []
    assert replay(spark, copied, LATE_EVENTS) == Replayed(LATE_EVENTS.name)


def test_corrected_rows_are_taken_in_and_what_is_refused_again_stays(
    spark: SparkSession, copied: Settings, tmp_path: Path
) -> None:
    twin = event("purchase", 14, occurred_at=NOW)

    def changed(given: dict[str, Any]) -> object | None:
        number = int(given["event_id"].replace("-", ""), 16)
        new: dict[int, object] = {
            10: {**given, "quantity": 5},
            11: {**given, "currency": "EURO", "region": None},
            12: twin,  # another row has sent that before
            # 13 is left as it is
        }
        return new.get(number)

    file = corrected(exported(spark, copied, "purchases", tmp_path / "purchases.jsonl"), changed)
    done = replay(spark, copied, replayable("purchases"), corrected=file)
    assert done == Replayed(
        "silver.purchases_quarantine",
        replayed=3,
        taken_in=1,
        dropped={"duplicate": 1},
        refused={"region_missing": 1, "currency_unknown": 1},
    )
    rows = read(spark, copied, "silver.purchases").select("event_id", "quantity").collect()
    assert {(row["event_id"][-2:], row["quantity"]) for row in rows} == {("0a", 5), ("0e", 2)}
    left = read(spark, copied, "silver.purchases_quarantine").collect()
    kept = {json.loads(row["payload"])["event_id"][-2:]: row["reasons"] for row in left}
    assert kept == {"0b": ["currency_unknown"], "0d": ["quantity_out_of_range"]}
    assert unsound(spark, copied) == []
    with pytest.raises(CorrectionError, match=r"purchases\.jsonl:1: .* does not hold that row"):
        replay(spark, copied, replayable("purchases"), corrected=file)


def test_row_that_no_table_could_take_moves_to_where_it_belongs(
    spark: SparkSession, copied: Settings, tmp_path: Path
) -> None:
    file = exported(spark, copied, "events", tmp_path / "events.jsonl")
    first, second = map(json.loads, file.read_text().splitlines())
    assert (first["payload"], second["payload_base64"]) == ("{", "/wA=")
    first["payload"] = json.dumps(event("click", 30, occurred_at=NOW))
    del second["payload_base64"]
    second["payload"] = json.dumps(event("purchase", 31, occurred_at=NOW, quantity=0))
    file.write_text(f"{json.dumps(first)}\n\n{json.dumps(second)}\n")
    done = replay(spark, copied, replayable("events"), corrected=file)
    assert (done.taken_in, done.refused) == (1, {"quantity_out_of_range": 1})
    assert 30 in ids(spark, copied, "silver.clicks")
    assert 31 in ids(spark, copied, "silver.purchases_quarantine")
    assert read(spark, copied, "bronze.events_quarantine").isEmpty()
    assert unsound(spark, copied) == []


def test_relaxed_check_lets_the_kept_bytes_in_and_only_those_chosen(
    spark: SparkSession, copied: Settings
) -> None:
    """A stricter release refused two good events; this one has no such check."""
    quarantine = replayable("clicks")
    rows = [
        ("former", 0, n, json.dumps(event("click", 40 + n, occurred_at=NOW)).encode(), None)
        for n in (0, 1)
    ]
    bronze = spark.createDataFrame(rows, read(spark, copied, EVENTS.name).schema)
    write(bronze, copied, EVENTS)
    codes = "array(if(source_offset = 0, 'region_closed', 'region_unknown'))"
    refused = bronze.selectExpr("uuid() AS event_id", f"{codes} AS reasons", "*")
    write(refused.select(*quarantine.columns), copied, quarantine)

    done = replay(spark, copied, quarantine, reason="region_closed")
    assert done == Replayed(quarantine.name, replayed=1, taken_in=1)
    done = replay(spark, copied, quarantine)
    assert (done.replayed, done.taken_in, done.refused) == (2, 1, {"event_id_reused": 1})
    assert ids(spark, copied, "silver.clicks") == [1, 2, 3, 20, 40, 41]
    ingest(spark, copied, lambda stage, count: None)  # the stream comes to these rows of bronze
    assert unsound(spark, copied) == []


def test_replay_that_dies_and_is_repeated_loses_and_doubles_nothing(
    spark: SparkSession, copied: Settings, tmp_path: Path
) -> None:
    """It dies among the tables of silver, after the last of them, and once all is done."""
    fates = {
        10: event("purchase", 10, occurred_at=NOW),  # taken in
        11: event("item_upsert", 11, occurred_at=NOW, title="Newer"),  # replaces what stands
        12: event("purchase", 14, occurred_at=NOW),  # sent before: dropped
        13: event("click", 13, occurred_at=TOO_LATE),  # parked
    }
    table = replayable("purchases")
    file = exported(spark, copied, "purchases", tmp_path / "lines")
    corrected(file, lambda given: fates[int(given["event_id"].replace("-", ""), 16)])
    written: list[str] = []
    for step in ("silver.items", table.name):
        with pytest.raises(KeyError, match=f"died before {step}"):
            dying_before(step, lambda: replay(spark, copied, table, corrected=file), written)
    assert {"silver.purchases", DROPPED_EVENTS.name, LATE_EVENTS.name} <= set(written)
    done = replay(spark, copied, table, corrected=file)
    assert (done.taken_in, done.late, done.dropped) == (2, 1, {"duplicate": 1})
    with pytest.raises(CorrectionError, match="does not hold that row"):
        replay(spark, copied, table, corrected=file)
    assert ids(spark, copied, "silver.purchases") == [10, 14]
    assert ids(spark, copied, "silver.items") == [11]
    assert ids(spark, copied, LATE_EVENTS.name) == [13, 21, 22]
    assert ids(spark, copied, DROPPED_EVENTS.name) == [14, 23]
    assert read(spark, copied, table.name).isEmpty()
    assert unsound(spark, copied) == []


def dying_before(name: str, run: Callable[[], object], changed: list[str]) -> None:
    """Let a run die when it is about to change that table; adds what it has changed."""

    def watched(change: Callable[..., Any]) -> Callable[..., Any]:
        def change_or_die(df: Any, settings: Settings, table: Any, *rest: Any, **more: Any) -> Any:
            if table.name == name:
                raise KeyError(f"died before {name}")
            result = change(df, settings, table, *rest, **more)
            changed.append(table.name)
            return result

        return change_or_die

    def one_by_one(_spark: SparkSession, writes: Iterable[Callable[[], None]]) -> None:
        for run_write in writes:
            run_write()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipelines.io.silver, "write", watched(write))
        patch.setattr(pipelines.io.silver, "in_parallel", one_by_one)
        patch.setattr(pipelines.io.replay, "remove", watched(remove))
        run()


@pytest.mark.parametrize("other", [{"export": Path("a")}, {"reason": "empty"}])
def test_corrections_name_their_rows_themselves(other: dict[str, Any]) -> None:
    with pytest.raises(CorrectionError, match="leave out --export and --reason"):
        replay_quarantine("clicks", corrected=Path("b"), **other)


def test_row_that_is_not_kept_stops_it_before_anything_is_written(
    spark: SparkSession, refusing: Settings, tmp_path: Path
) -> None:
    file = exported(spark, refusing, "purchases", tmp_path / "lines")
    with file.open("a") as lines:
        lines.write(file.read_text().splitlines()[0].replace(".jsonl", ".json"))
    before = {name: version_of(spark, refusing, name) for name in NAMES}
    with pytest.raises(CorrectionError, match=rf"lines:{REFUSED_PURCHASES + 1}: .* not hold that"):
        replay(spark, refusing, replayable("purchases"), corrected=file)
    assert {name: version_of(spark, refusing, name) for name in NAMES} == before


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("purchases", "silver.purchases_quarantine"),
        ("silver.purchases", "silver.purchases_quarantine"),
        ("silver.purchases_quarantine", "silver.purchases_quarantine"),
        ("bronze.events", "bronze.events_quarantine"),
        ("late_events", "silver.late_events"),
        ("silver.late_events", "silver.late_events"),
    ],
)
def test_quarantine_is_found_by_its_own_and_its_tables_name(name: str, table: str) -> None:
    assert replayable(name).name == table


@pytest.mark.parametrize("name", ["", "nope", "gold.top_sellers", "silver.late_events_quarantine"])
def test_table_without_a_quarantine_is_answered_with_those_there_are(name: str) -> None:
    with pytest.raises(RegistryError, match=r"there are bronze\.events_quarantine, silver\."):
        replayable(name)


def test_replay_needs_the_tables_for_itself(refusing: Settings) -> None:
    held = locks(refusing.state, ["silver.items"])
    with held, pytest.raises(LockedError, match=r"writing to silver\.items"):
        replay_quarantine("clicks", root=refusing.root)
