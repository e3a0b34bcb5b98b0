"""The doctor names what is wrong with a lake, and says a repair; it changes nothing."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.transaction import AddAction

from pipelines.errors import LakeError
from pipelines.io.doctor import examine
from pipelines.io.findings import Finding
from pipelines.io.lake import open_lake, table_path
from pipelines.settings import Settings, load_settings
from pipelines.streams import StreamState, save_stream

ID = "0f9c"
VIEW, SOURCE = "gold.sales_hourly", "silver.purchases"


def put(settings: Settings, name: str, rows: int, **said: object) -> None:
    """One commit to a table."""
    transactions = [
        Transaction(str(app), int(str(v))) for app, v in dict(said).items() if app != "record"
    ]
    metadata = {"userMetadata": json.dumps(said["record"])} if "record" in said else None
    properties = CommitProperties(custom_metadata=metadata, app_transactions=transactions)
    table = pa.table({"n": pa.array(range(rows), pa.int64())})
    path = table_path(settings, name)
    write_deltalake(path, table, mode="append", commit_properties=properties)


def checkpoint(settings: Settings, name: str, offset: object) -> Path:
    """A checkpoint at batch 1, which is done."""
    folder = Path(settings.root) / "_checkpoints" / name
    for part in ("offsets", "commits"):
        (folder / part).mkdir(parents=True)
        for batch in (0, 1):
            (folder / part / str(batch)).write_text(f"v1\n{{}}\n{json.dumps(offset)}")
    (folder / "metadata").write_text(json.dumps({"id": ID}))
    return folder


@pytest.fixture
def sound(tmp_path: Path) -> Settings:
    """A lake with two batches in bronze and silver, and a view of the newest version."""
    settings = load_settings(overrides={"root": str(tmp_path / "a lake"), "source.kind": "files"})
    open_lake(settings, create=True)
    for batch in (0, 1):
        put(settings, "bronze.events", 3, **{f"bronze-{ID}": batch})
        put(settings, "silver.batches", 1, **{f"silver-{ID}": batch})
        put(settings, SOURCE, 3)
    table_id = DeltaTable(table_path(settings, "bronze.events")).metadata().id
    checkpoint(settings, "bronze-files-landing", {"logOffset": 1})
    checkpoint(settings, "silver", {"reservoirId": str(table_id), "reservoirVersion": 2})
    put(settings, VIEW, 2, record={"sources": {SOURCE: 1}})
    return settings


def wrong(settings: Settings) -> Finding:
    """The one finding that is no note."""
    (found,) = [one for one in examine(settings).findings if not one.is_note]
    return found


def digest(settings: Settings) -> str:
    files = sorted(file for file in Path(settings.root).rglob("*") if file.is_file())
    return sha256(b"".join(str(f).encode() + f.read_bytes() for f in files)).hexdigest()


def files_of(settings: Settings, name: str) -> list[Path]:
    return sorted(Path(table_path(settings, name)).glob("*.parquet"))


def test_a_sound_lake_has_no_finding_and_is_left_alone(sound: Settings) -> None:
    before = digest(sound)
    found = examine(sound)
    assert (found.is_sound, found.findings) == (True, ())
    assert (found.tables, found.files) == (4, 7)
    assert digest(sound) == before


@pytest.mark.parametrize(
    ("stream", "gone", "repair"),
    [
        ("bronze-files-landing", "offsets/1", "ingest --resume-from-bronze"),
        ("bronze-files-landing", "metadata", "ingest --resume-from-bronze"),
        ("silver", "metadata", "delete that folder"),
    ],
)
def test_a_gap_in_a_checkpoint_is_named(
    sound: Settings, stream: str, gone: str, repair: str
) -> None:
    folder = Path(sound.root) / "_checkpoints" / stream
    (folder / gone).unlink()
    found = wrong(sound)
    assert found.place == str(folder)
    assert found.problem == f"a gap: {gone} is missing"
    assert repair in found.repair


def test_a_hole_between_two_batches_is_named(sound: Settings) -> None:
    folder = Path(sound.root) / "_checkpoints" / "silver"
    for part in ("offsets", "commits"):
        shutil.copy(folder / part / "1", folder / part / "3")
    assert wrong(sound).problem == "a gap: offsets/2 is missing"


def test_a_batch_that_was_not_finished_is_only_a_note(sound: Settings) -> None:
    (Path(sound.root) / "_checkpoints" / "silver" / "commits" / "1").unlink()
    found = examine(sound)
    assert found.is_sound
    assert found.findings[0].problem == "batch 1 was begun and not finished"


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"{"])
def test_a_torn_file_of_a_checkpoint_is_named(sound: Settings, content: bytes) -> None:
    (Path(sound.root) / "_checkpoints" / "bronze-files-landing" / "offsets" / "1").write_bytes(
        content
    )
    assert wrong(sound).problem == "damaged: offsets/1"


def test_a_checkpoint_of_another_time_than_its_table_is_named(sound: Settings) -> None:
    put(sound, "bronze.events", 1, **{f"bronze-{ID}": 7})
    found = next(one for one in examine(sound).findings if not one.is_note)
    assert found.problem == "it is at batch 1, bronze.events at 7: they are not of one time"


def test_silver_that_read_what_bronze_no_longer_has_is_named(sound: Settings) -> None:
    newest = Path(table_path(sound, "bronze.events")) / "_delta_log" / f"{1:020}.json"
    newest.unlink()
    found = [one.problem for one in examine(sound).findings if not one.is_note]
    assert "it has read version 1 of bronze.events, which is at 0" in found


def test_checkpoints_that_are_all_gone_are_named(sound: Settings) -> None:
    shutil.rmtree(Path(sound.root) / "_checkpoints")
    assert wrong(sound).problem == "it is gone, and bronze holds events"


def test_a_missing_file_is_named_with_its_table(sound: Settings) -> None:
    victim = files_of(sound, SOURCE)[0]
    victim.unlink()
    found = wrong(sound)
    assert (found.place, found.problem) == (SOURCE, f"missing: {victim.name}")
    assert "from a backup" in found.repair


def test_a_view_with_a_missing_file_is_computed_anew(sound: Settings) -> None:
    files_of(sound, VIEW)[0].unlink()
    assert f"lakehouse refresh {VIEW} --full" in wrong(sound).repair


def test_a_file_that_was_cut_short_is_named(sound: Settings) -> None:
    victim = files_of(sound, SOURCE)[0]
    os.truncate(victim, victim.stat().st_size - 1)
    assert wrong(sound).problem == f"not of the size that the log gives: {victim.name}"


def with_checksums(settings: Settings, name: str, *of_the_feed: str) -> Path:
    """A file with checksums in its pages, as Spark writes them, added to a table."""
    table = DeltaTable(table_path(settings, name))
    file = Path(table_path(settings, name)) / "checked.parquet"
    rows = pa.table({"n": pa.array(range(5000), pa.int64())})
    for column in of_the_feed:
        rows = rows.append_column(column, pa.nulls(len(rows), pa.string()))
    pq.write_table(rows, file, write_page_checksum=True, use_dictionary=False)
    added = AddAction(file.name, file.stat().st_size, {}, 0, True, "{}")
    table.create_write_transaction([added], "append", table.schema(), [])
    return file


def test_no_flipped_bit_is_silent(sound: Settings) -> None:
    file = with_checksums(sound, SOURCE)
    whole, draw = file.read_bytes(), Random(17)
    rows = pq.read_table(file)
    detected = 0
    assert not [one for one in examine(sound, reads_all=True).findings if not one.is_note]
    for _ in range(60):
        torn = bytearray(whole)
        torn[draw.randrange(len(torn))] ^= 1 << draw.randrange(8)
        file.write_bytes(torn)
        found = [one for one in examine(sound, reads_all=True).findings if not one.is_note]
        if found:
            assert found[0].problem == "damaged: checked.parquet"
            detected += 1
        else:
            assert pq.read_table(file).equals(rows)  # the bit meant nothing
    assert detected > 50


def test_columns_that_a_merge_leaves_in_a_file_are_no_damage(sound: Settings) -> None:
    with_checksums(sound, SOURCE, "_change_type", "__is_cdc")
    assert not [one for one in examine(sound, reads_all=True).findings if not one.is_note]


def test_a_log_that_lost_a_file_differs_from_its_checksum(sound: Settings) -> None:
    log = Path(table_path(sound, SOURCE)) / "_delta_log"
    size = sum(file.stat().st_size for file in files_of(sound, SOURCE))
    checksum = log / f"{1:020}.crc"
    checksum.write_text(json.dumps({"numFiles": 2, "tableSizeBytes": size}))
    assert examine(sound).is_sound
    checksum.write_text(json.dumps({"numFiles": 3, "tableSizeBytes": size}))
    assert wrong(sound).problem.startswith("its log gives 2 files")


def test_a_gap_in_a_log_is_named(sound: Settings) -> None:
    put(sound, SOURCE, 1)
    (Path(table_path(sound, SOURCE)) / "_delta_log" / f"{1:020}.json").unlink()
    found = wrong(sound)
    assert (found.place, found.problem) == (SOURCE, "its log has a gap: version 1 of 2 is missing")


def test_a_commit_that_cannot_be_read_is_named(sound: Settings) -> None:
    (Path(table_path(sound, SOURCE)) / "_delta_log" / f"{1:020}.json").write_bytes(b"{torn")
    found = wrong(sound)
    assert found.place == SOURCE
    assert "its log cannot be read" in found.problem


def test_a_view_that_shows_more_than_there_is_is_named(sound: Settings) -> None:
    put(sound, VIEW, 1, record={"sources": {SOURCE: 9}})
    found = wrong(sound)
    assert (found.place, found.problem) == (VIEW, f"it shows version 9 of {SOURCE}, which is at 1")


def test_a_view_that_is_behind_is_only_a_note(sound: Settings) -> None:
    put(sound, SOURCE, 1)
    found = examine(sound)
    assert found.is_sound
    assert found.findings[0] == Finding(
        VIEW, f"1 versions behind {SOURCE}", f"run `lakehouse refresh {VIEW}`", is_note=True
    )


def test_a_view_that_a_stranger_wrote_is_named(sound: Settings) -> None:
    put(sound, VIEW, 1)
    assert wrong(sound).problem == "its newest commit does not say what it shows"


HOLDER = """
import sys
from pathlib import Path
from pipelines.io.lake import locks
with locks(Path(sys.argv[1]), ["silver.purchases"]):
    print("locked", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a lock."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(settings.state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_lock_of_a_process_that_is_stopped_is_named_with_what_to_do(sound: Settings) -> None:
    with holder(sound) as process:
        (note,) = examine(sound).findings
        assert (note.place, note.is_note) == (SOURCE, True)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        found = wrong(sound)
        assert f"process {process.pid} holds its lock and is stopped" in found.problem
        assert f"kill -CONT {process.pid}" in found.repair


def test_what_a_process_that_is_gone_left_of_its_lock_is_nothing(sound: Settings) -> None:
    with holder(sound):
        pass
    assert list((sound.state / "locks").glob("*.lock"))
    assert examine(sound).findings == ()


def test_a_stream_that_died_and_one_that_failed_are_told(sound: Settings) -> None:
    save_stream(sound.state, StreamState("bronze", process=2**22 + 1))
    assert examine(sound).is_sound
    save_stream(sound.state, StreamState("silver", status="failed", error="no space left"))
    found = wrong(sound)
    assert (found.place, found.problem) == ("stream silver", "it failed: no space left")


def test_a_lake_elsewhere_is_refused_in_one_line(sound: Settings) -> None:
    with pytest.raises(LakeError, match="only a lake on this disk can be examined"):
        examine(sound.model_copy(update={"root": "s3a://bucket/lake"}))


def test_a_copy_of_the_whole_lake_is_a_backup(sound: Settings, tmp_path: Path) -> None:
    """What docs/backup.md says: stop, copy all of it, and put all of it back."""
    backup = tmp_path / "backup"
    shutil.copytree(sound.root, backup)
    shutil.rmtree(Path(sound.root) / "silver" / "purchases")
    shutil.rmtree(sound.root)
    shutil.copytree(backup, sound.root)
    assert examine(sound).findings == ()


def test_half_a_backup_is_found_out(sound: Settings, tmp_path: Path) -> None:
    """Tables of an older time than the checkpoints beside them."""
    backup = tmp_path / "bronze"
    shutil.copytree(Path(sound.root) / "bronze", backup)
    put(sound, "bronze.events", 1, **{f"bronze-{ID}": 2})
    for part in ("offsets", "commits"):
        folder = Path(sound.root) / "_checkpoints" / "bronze-files-landing" / part
        shutil.copy(folder / "1", folder / "2")
    assert examine(sound).is_sound
    shutil.rmtree(Path(sound.root) / "bronze")
    shutil.copytree(backup, Path(sound.root) / "bronze")
    assert "bronze.events at 1: they are not of one time" in wrong(sound).problem
