"""A person is erased: no byte of them is left, every total stays, and nothing brings them back."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from given import event
from given_person import (
    ASKED,
    NEW,
    OF_PEOPLE,
    PLACES,
    TOTALS,
    WHO,
    TakeIn,
    fill,
    of_others,
    of_person,
    stands,
    where,
)
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

import pipelines.erase as erasing
from pipelines.bronze.erasures import ERASURES
from pipelines.check import check_lake
from pipelines.erase import Erased, erase
from pipelines.errors import ConfigError, LakeError, LockedError
from pipelines.io.answers import answer
from pipelines.io.checkpoints import SILVER
from pipelines.io.doctor import examine
from pipelines.io.erasures import VARIABLE, door, erasure_key
from pipelines.io.lake import checkpoint_path
from pipelines.io.leases import reading
from pipelines.io.read import read
from pipelines.io.replay import replay, replayable
from pipelines.io.silver_facts import silver_facts
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.silver.documents import DOCUMENTS
from pipelines.views.refresh import refresh
from serving.keys import load_keys
from serving.lmdb_store import LmdbStore

HOLDER = """
import sys
import lmdb
with lmdb.open(sys.argv[1], readonly=True):
    print("open", flush=True)
    sys.stdin.read()
"""


def rows_of(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    return sorted(map(str, read(spark, settings, name).collect()))


def wrong(spark: SparkSession, settings: Settings) -> list[str]:
    """Checks that do not hold; views that this lake does not keep are left out."""
    found = check_lake(spark, settings)
    return [
        f"{f.name}: {f.detail}" for f in found if not f.ok and "never refreshed" not in f.detail
    ]


def silver_lag(spark: SparkSession, settings: Settings) -> int | None:
    offsets = Path(checkpoint_path(settings, SILVER), "offsets").glob("[0-9]*")
    newest = max(offsets, key=lambda file: int(file.name))
    return silver_facts(spark, settings, newest.read_text().splitlines()[-1]).lag


@pytest.mark.timeout(900)  # two erasures of a lake, with all that stands around it
def test_no_byte_of_a_person_is_left_and_nothing_brings_them_back(
    spark: SparkSession, lake: Settings, take_in: TakeIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(spark, lake, take_in)
    assert set(stands(lake)) >= PLACES
    totals = {name: rows_of(spark, lake, name) for name in TOTALS}

    # Killed when the rows are gone and their old versions are not; the same command completes it.
    with monkeypatch.context() as patch:
        patch.setattr(erasing, "purge", killed)
        with pytest.raises(KeyboardInterrupt):
            erase(spark, lake, [WHO])
    assert read(spark, lake, ERASURES.name).where("done_at IS NULL").count() == 1
    assert stands(lake)
    done = erase(spark, lake, [WHO])
    digest = erasure_key(lake).digest(WHO)
    assert stands(lake) == []
    assert where(lake, digest, but=("bronze/erasures/",)) == []
    assert where(lake, digest)
    assert read(spark, lake, ERASURES.name).where("done_at IS NULL").isEmpty()
    assert done.found["online store"] == 3
    assert done.found["kept answers"] == 1
    assert [f.name for f in (Path(lake.root) / "documents").rglob("*.txt")] == ["3.txt"]
    assert [row["name"] for row in read(spark, lake, DOCUMENTS.name).collect()] == ["3.txt"]
    assert load_keys(lake.api_keys) == ()

    # Every total stays; the views equal their recomputation; each row of bronze stands in silver.
    assert {name: rows_of(spark, lake, name) for name in TOTALS} == totals
    assert wrong(spark, lake) == []
    assert examine(lake, reads_all=True).is_sound
    assert silver_lag(spark, lake) == 0
    profiles = read(spark, lake, "gold.customer_profile")
    assert [row["customer_id"] for row in profiles.collect()] == ["c1"]
    asked = answer(lake, ASKED, limit=9, spark=lambda: spark)
    assert (asked.rows, asked.engine) == ([{"customer_id": "c1"}], "duckdb")
    (arm,) = read(spark, lake, "gold.experiment_results").collect()
    assert (arm["customer_count"], arm["impression_count"]) == (1, 1)
    with closing(LmdbStore(lake.state / "online", readonly=True)) as store:
        assert store.get("histories", WHO) is None
        assert store.get("histories", "c1") is not None

    # What is sent or replayed again comes in as nobody's, and the streams go on.
    theirs = [sent for sent in of_person() if isinstance(sent, bytes) or "referred_by" not in sent]
    later = [
        event("purchase", 50 + n, customer_id=who, occurred_at=NEW)
        for n, who in enumerate((WHO, "c1"))
    ]
    take_in(lake, [*theirs, *later])
    late_ones = replay(spark, lake, replayable("late_events"))
    assert (late_ones.taken_in, late_ones.refused) == (1, {})  # the others are repetitions
    refresh(spark, lake, [*TOTALS, *OF_PEOPLE])
    assert stands(lake) == ["landing/00002.jsonl"]
    nobodys = read(spark, lake, "silver.purchases").where("customer_id IS NULL")
    assert sorted(row["event_id"][-2:] for row in nobodys.collect()) == ["01", "02", "28", "32"]
    assert read(spark, lake, "silver.purchases").where("event_id LIKE '%33'").count() == 1
    refused = read(spark, lake, "silver.impressions_quarantine").collect()
    assert [row["reasons"] for row in refused] == [["customer_id_missing"]]
    assert wrong(spark, lake) == []


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_it_waits_for_no_one_who_reads_and_tears_nothing_away(
    spark: SparkSession, lake: Settings
) -> None:
    with closing(LmdbStore(lake.state / "online")):
        pass
    with (
        reading(lake, "a long query", {"silver.purchases": 0}),
        pytest.raises(LockedError, match=r"a long query \(process \d+\) reads the lake"),
    ):
        erase(spark, lake, [WHO])
    with holding(lake.state / "online"), pytest.raises(LockedError, match="lakehouse serve"):
        erase(spark, lake, [WHO])
    assert not (lake.state / "erasure.key").exists()  # nothing was begun


@contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Another process that has an online store open."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdin
        assert other.stdout.readline() == b"open\n"
        yield
        other.stdin.close()


def test_while_nobody_is_erased_events_pass_no_door_and_no_job_is_run(
    spark: SparkSession, lake: Settings
) -> None:
    spark.sparkContext.setJobGroup("door", "of nobody")
    try:
        payload = F.col("payload")
        assert door(spark, lake)(payload) is payload
    finally:
        spark.sparkContext.setLocalProperty("spark.jobGroup.id", None)
    assert list(spark.sparkContext.statusTracker().getJobIdsForGroup("door")) == []


def test_of_someone_unknown_it_says_so(spark: SparkSession, lake: Settings) -> None:
    done: Erased = erase(spark, lake, ["nobody-of-that-name"])
    assert (done.people, sum(done.found.values())) == (1, 0)
    assert any("backups" in one for one in done.out_of_reach)


@pytest.mark.parametrize("who", ["", "a\nb", "x" * 129])
def test_what_is_no_id_is_refused_without_repeating_it(
    spark: SparkSession, lake: Settings, who: str
) -> None:
    with pytest.raises(ConfigError, match=r"name whom to erase: --customer ID"):
        erase(spark, lake, [who])


def test_the_key_is_secret_and_another_one_is_refused(
    spark: SparkSession, lake: Settings, take_in: TakeIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="the key of the erasures is gone"):
        erasure_key(lake)
    erase(spark, lake, [WHO])
    file = lake.state / "erasure.key"
    assert file.stat().st_mode & 0o777 == 0o600
    with monkeypatch.context() as patch:
        patch.setenv(VARIABLE, "short")
        with pytest.raises(ConfigError, match="16 characters or more"):
            take_in(lake, of_others())
        patch.setenv(VARIABLE, "another key, long enough")
        with pytest.raises(LakeError, match="made with another key"):
            take_in(lake, of_others())
        with pytest.raises(LakeError, match="made with another key"):
            erase(spark, lake, ["someone-else"])
    file.rename(file.with_suffix(".away"))
    with pytest.raises(ConfigError, match=r"put .* back from a backup"):
        take_in(lake, of_others())


def test_views_that_may_name_a_person_are_known() -> None:
    named = erasing._personal(VIEWS)
    assert "gold.customer_profile" in named
    assert "gold.sales_hourly" not in named
