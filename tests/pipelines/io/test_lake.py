"""A lake: made once, of one version, and each table written by one process at a time."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.errors import LakeError, LockedError
from pipelines.io.lake import FORMAT_VERSION, locks, open_lake
from pipelines.settings import Settings, load_settings

# A writer that says when it has the locks and keeps them until its standard input closes.
HOLDER = """
import sys
from pathlib import Path
from pipelines.io.lake import locks
with locks(Path(sys.argv[1]), sys.argv[2:]):
    print("locked", flush=True)
    sys.stdin.read()
"""


def settings_of(root: Path) -> Settings:
    return load_settings(overrides={"root": str(root)})


@contextmanager
def another_writer(state: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDER, str(state), *names]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "locked\n"
        yield process


@contextmanager
def as_nobody() -> Iterator[None]:
    """Permissions do not bind root, so a test that needs them steps down."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_lake_is_made_once_and_found_again(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "deep" / "lake")
    made = open_lake(settings, create=True)
    assert made == tmp_path / "deep" / "lake" / "_state"
    assert open_lake(settings) == open_lake(settings, create=True) == made


def test_missing_lake_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(LakeError, match=r"no lake at .*; make one with `lakehouse demo`"):
        open_lake(settings_of(tmp_path / "lake"))
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("other", [FORMAT_VERSION + 1, FORMAT_VERSION - 1, "one"])
def test_lake_of_another_version_is_refused(tmp_path: Path, other: object) -> None:
    settings = settings_of(tmp_path / "lake")
    marker = open_lake(settings, create=True) / "lake.json"
    marker.write_text(json.dumps({"format_version": other}))
    for create in (False, True):
        with pytest.raises(LakeError, match=f"format version {other}, .* {FORMAT_VERSION};"):
            open_lake(settings, create=create)
    assert json.loads(marker.read_text()) == {"format_version": other}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"null", b"\xff\xfe"])
def test_damaged_marker_is_named_not_replaced(tmp_path: Path, content: bytes) -> None:
    settings = settings_of(tmp_path / "lake")
    marker = open_lake(settings, create=True) / "lake.json"
    marker.write_bytes(content)
    with pytest.raises(LakeError, match=r"lake\.json is damaged; restore it"):
        open_lake(settings, create=True)
    assert marker.read_bytes() == content


def test_foreign_folder_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.doc").write_text("mine")
    with pytest.raises(LakeError, match="not empty and not a lake; name another folder"):
        open_lake(settings_of(tmp_path), create=True)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.doc"]


def test_folder_in_which_only_files_of_events_landed_becomes_a_lake(tmp_path: Path) -> None:
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "a.jsonl").write_text("{}\n")
    assert open_lake(settings_of(tmp_path), create=True).is_dir()


def test_empty_folder_becomes_a_lake(tmp_path: Path) -> None:
    assert open_lake(settings_of(tmp_path), create=True) == tmp_path / "_state"


def test_folder_that_cannot_be_written_to_is_named() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o555)
        settings = settings_of(Path(folder) / "lake")
        with as_nobody(), pytest.raises(LakeError, match=r"cannot write to .*Permission denied"):
            open_lake(settings, create=True)


def test_root_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LakeError, match=r"cannot write to .*Not a directory"):
        open_lake(settings_of(tmp_path / "file" / "lake"), create=True)


def test_two_processes_that_make_a_lake_at_once_make_one(tmp_path: Path) -> None:
    make = (
        "import sys; from pipelines.io.lake import open_lake; "
        "from pipelines.settings import load_settings; "
        "s = load_settings(overrides={'root': sys.argv[1]}); sys.stdin.readline(); "
        "open_lake(s, create=True)"
    )
    command = [sys.executable, "-c", make, str(tmp_path / "lake")]
    makers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for maker in makers:
        assert maker.stdin
        maker.stdin.close()  # each makes the lake as soon as it has loaded its settings
    assert [maker.wait(60) for maker in makers] == [0, 0, 0, 0]
    assert open_lake(settings_of(tmp_path / "lake")).is_dir()


def test_lake_whose_maker_died_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "_state").mkdir()
    assert (open_lake(settings_of(tmp_path), create=True) / "lake.json").is_file()


def test_second_writer_of_a_table_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    state = open_lake(settings_of(tmp_path), create=True)
    with another_writer(state, "bronze.events", "silver.items") as first:
        message = f"process {first.pid} is writing to silver.items; wait"
        with pytest.raises(LockedError, match=message), locks(state, ["silver.items"]):
            pass
    with locks(state, ["silver.items"]):
        assert (state / "locks" / "silver.items.lock").read_text() == str(os.getpid())


def test_other_tables_are_free(tmp_path: Path) -> None:
    state = open_lake(settings_of(tmp_path), create=True)
    with (
        another_writer(state, "bronze.events", "silver.items"),
        another_writer(state, "gold.top_sellers"),
        locks(state, ["gold.sales_hourly", "gold.recommendations"]),
    ):
        pass


def test_refused_writer_lets_go_of_what_it_had_taken(tmp_path: Path) -> None:
    state = open_lake(settings_of(tmp_path), create=True)
    with another_writer(state, "silver.items"):
        wanted = ["silver.purchases", "silver.items", "silver.clicks"]
        with pytest.raises(LockedError), locks(state, wanted):
            pass
        with another_writer(state, "silver.clicks", "silver.purchases"):
            pass


def test_writers_that_name_the_same_tables_in_another_order_do_not_wait(tmp_path: Path) -> None:
    state = open_lake(settings_of(tmp_path), create=True)
    with another_writer(state, "b", "a"), pytest.raises(LockedError, match=r"writing to a;"):
        locks(state, ["b", "a", "b"]).__enter__()


def test_lock_is_free_after_kill_9_of_its_holder(tmp_path: Path) -> None:
    state = open_lake(settings_of(tmp_path), create=True)
    with another_writer(state, "bronze.events") as first:
        first.kill()
        first.wait()
        assert (state / "locks" / "bronze.events.lock").read_text() == str(first.pid)
        with locks(state, ["bronze.events"]):
            pass


def test_stopped_process_keeps_its_lock(tmp_path: Path) -> None:
    """It may go on at any time, and would then write beside whoever took over."""
    state = open_lake(settings_of(tmp_path), create=True)
    with another_writer(state, "bronze.events") as first:
        first.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, first.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(LockedError, match=f"process {first.pid} is writing to bronze.events"):
            locks(state, ["bronze.events"]).__enter__()
        first.send_signal(signal.SIGCONT)


def test_second_lake_has_locks_of_its_own(tmp_path: Path) -> None:
    one = open_lake(settings_of(tmp_path / "one"), create=True)
    two = open_lake(settings_of(tmp_path / "two"), create=True)
    with locks(one, ["bronze.events"]), locks(two, ["bronze.events"]):
        pass
