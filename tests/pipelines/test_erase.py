"""A person is erased: no byte of them is left, every total stays, and nothing brings them back."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from given import event
from pyspark.sql import SparkSession

import pipelines.erase as erasing
from pipelines.audit import record
from pipelines.bronze.erasures import ERASURES
from pipelines.check import check_lake
from pipelines.erase import Erased, erase
from pipelines.errors import ConfigError, LakeError, LockedError
from pipelines.gold.recommendations import RECOMMENDATIONS
from pipelines.io.doctor import examine
from pipelines.io.erasures import VARIABLE, erasure_key
from pipelines.io.leases import reading
from pipelines.io.read import read, schema_of
from pipelines.io.replay import replay, replayable
from pipelines.io.write import write
from pipelines.registry import VIEWS
from pipelines.settings import Settings
from pipelines.silver.documents import DOCUMENTS
from pipelines.views.refresh import refresh
from serving.keys import add_key, load_keys
from serving.lmdb_store import LmdbStore
from serving.reactions.outbox import Letter, Outbox

TakeIn = Callable[[Settings, Iterable[object]], None]
WHO = "shopper-7f3a9c1e-0042"
TOTALS = ("gold.sales_hourly", "gold.item_funnel")
NEW = "2017-03-20T10:00:00Z"
HOLDER = """
import sys
import lmdb
with lmdb.open(sys.argv[1], readonly=True):
    print("open", flush=True)
    sys.stdin.read()
"""


def of_person() -> list[dict[str, Any] | bytes]:
    """What one person did: bought, looked, was misread, came late; and was named by another."""
    return [
        event("purchase", 1, customer_id=WHO, card=WHO, occurred_at=NEW),
        event("purchase", 2, customer_id=WHO, item_id="i2", session_id=f"of {WHO}", currency="EUR"),
        event("click", 3, customer_id=WHO, session_id=f"s:{WHO}"),
        event("purchase", 4, customer_id=WHO, quantity=-1),
        event("purchase", 5, referred_by=WHO),
        event("price_change", 6, approved_by={"customer_id": WHO}),
        b'{"event_type": "click", "customer_id": "' + WHO.encode() + b'", "broken',
    ]


def of_others() -> list[dict[str, Any]]:
    first = [event("purchase", n, occurred_at=NEW, item_id=f"i{n % 3}") for n in range(20, 26)]
    return [*first, event("click", 30), event("inventory_change", 31), event("item_upsert", 32)]


def late() -> dict[str, Any]:
    return event("purchase", 40, customer_id=WHO, occurred_at="2017-01-01T00:00:00Z")


def texts_in(file: Path) -> Iterator[bytes]:
    """The bytes of a file; of Parquet also each value, which compression hides."""
    yield str(file).encode()
    yield file.read_bytes()
    if file.suffix == ".parquet":
        for column in pq.ParquetFile(file).read().itercolumns():
            yield repr(column.to_pylist()).encode()


def where(settings: Settings, text: str, *, but: tuple[str, ...] = ()) -> list[str]:
    """Every file of the lake and its state that holds a text."""
    root = Path(settings.root)
    files = (file for file in sorted(root.rglob("*")) if file.is_file())
    names = ((str(file.relative_to(root)), file) for file in files)
    return [
        name
        for name, file in names
        if not name.startswith(but) and any(text.encode() in found for found in texts_in(file))
    ]


def rows_of(spark: SparkSession, settings: Settings, name: str) -> list[str]:
    return sorted(map(str, read(spark, settings, name).collect()))


def wrong(spark: SparkSession, settings: Settings) -> list[str]:
    """Checks that do not hold; views that this lake does not keep are left out."""
    found = check_lake(spark, settings)
    return [
        f"{f.name}: {f.detail}" for f in found if not f.ok and "never refreshed" not in f.detail
    ]


def fill(spark: SparkSession, settings: Settings, take_in: TakeIn) -> None:
    """A lake, with everything around it, in which the person stands wherever one may."""
    take_in(settings, [*of_others(), *of_person()])
    take_in(settings, [late()])
    refresh(spark, settings, [*TOTALS, "gold.customer_profile"])
    picks = [(who, 1, "i1", 0.5, "again", None, "1") for who in (WHO, "c1")]
    write(spark.createDataFrame(picks, schema_of(RECOMMENDATIONS)), settings, RECOMMENDATIONS)
    state, now = settings.state, datetime.now(UTC)
    rows = []
    for name, text in ((f"{WHO}.txt", "fine"), ("2.txt", f"as {WHO} says"), ("3.txt", "fine")):
        file = Path(settings.root) / "documents" / "reviews" / "i1" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        told = {"reference": file.as_uri(), "size_bytes": 4, "modified_at": now, "name": name}
        told |= {"kind": "reviews", "item_id": "i1", "text": text, "ingested_at": now}
        rows.append([told.get(column) for column in DOCUMENTS.columns])
    write(spark.createDataFrame(rows, schema_of(DOCUMENTS)), settings, DOCUMENTS)
    with closing(LmdbStore(state / "online")) as store:
        store.publish("histories", [(WHO, {"i": 1}), ("c1", {})], version="1", published_at=now)
        store.update("taste", {f"c:{WHO}": ["i1"], f"s:of {WHO}": ["i2"]}, at=now)
    with closing(Outbox(state / "reactions" / "outbox.db")) as outbox:
        outbox.add([Letter("l1", "alert", "hook", json.dumps({"customer_id": WHO, "n": 1}))])
    add_key(state / "api-keys.json", "theirs", ["read"], rate=1, burst=1, customer=WHO)
    record(state, 1 << 20, 1, kind="command", said=f"looked for {WHO}")


def stands(settings: Settings) -> list[str]:
    """The places of the lake, by folder, in which the person stands."""
    return sorted({"/".join(name.split("/")[:2]) for name in where(settings, WHO)})


def test_no_byte_of_a_person_is_left_and_nothing_brings_them_back(
    spark: SparkSession, lake: Settings, take_in: TakeIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(spark, lake, take_in)
    places = stands(lake)
    assert {
        "_state/api-keys.json", "_state/audit", "documents/reviews",
        "silver/documents", "_state/online", "_state/reactions",
        "bronze/events", "bronze/events_quarantine", "gold/customer_profile",
        "gold/recommendations", "landing/00000.jsonl", "silver/clicks", "silver/late_events",
        "silver/price_changes", "silver/purchases", "silver/purchases_quarantine",
    } <= set(places)  # fmt: skip
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
    assert [f.name for f in (Path(lake.root) / "documents").rglob("*.txt")] == ["3.txt"]
    assert [row["name"] for row in read(spark, lake, DOCUMENTS.name).collect()] == ["3.txt"]
    assert load_keys(lake.api_keys) == ()

    # Every total stays; the views equal their recomputation; each row of bronze stands in silver.
    assert {name: rows_of(spark, lake, name) for name in TOTALS} == totals
    assert wrong(spark, lake) == []
    assert examine(lake, reads_all=True).is_sound
    profiles = read(spark, lake, "gold.customer_profile")
    assert [row["customer_id"] for row in profiles.collect()] == ["c1"]
    with closing(LmdbStore(lake.state / "online", readonly=True)) as store:
        assert store.get("histories", WHO) is None
        assert store.get("histories", "c1") is not None

    # What is sent or replayed again comes in as nobody's, and the streams go on.
    theirs = [sent for sent in of_person() if "referred_by" not in sent]
    take_in(lake, [*theirs, event("purchase", 50, customer_id=WHO, occurred_at=NEW)])
    late_ones = replay(spark, lake, replayable("late_events"))
    assert (late_ones.taken_in, late_ones.refused) == (1, {})  # the others are repetitions
    refresh(spark, lake, [*TOTALS, "gold.customer_profile"])
    assert stands(lake) == ["landing/00002.jsonl"]
    nobodys = read(spark, lake, "silver.purchases").where("customer_id IS NULL")
    assert sorted(row["event_id"][-2:] for row in nobodys.collect()) == ["01", "02", "28", "32"]
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
