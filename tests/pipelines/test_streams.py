"""What a stream reported last can be read while it runs, and after it ended or died."""

import subprocess
import sys
from pathlib import Path

from pipelines.streams import StreamState, load_streams, save_stream


def test_newest_report_of_each_stream_is_read_back(tmp_path: Path) -> None:
    save_stream(tmp_path, StreamState("silver", rows=1))
    save_stream(tmp_path, StreamState("bronze", rows=5, lag=3, lag_unit="offsets"))
    newest = StreamState("silver", rows=4, outcomes={"valid": 3, "late": 1})
    save_stream(tmp_path, newest)
    bronze, silver = load_streams(tmp_path)
    assert (bronze.stream, bronze.rows, bronze.lag) == ("bronze", 5, 3)
    assert silver == newest
    assert sorted(f.name for f in (tmp_path / "streams").iterdir()) == [
        "bronze.json",
        "silver.json",
    ]


def test_lake_without_streams_has_none(tmp_path: Path) -> None:
    assert load_streams(tmp_path) == []


def test_damaged_report_is_left_out(tmp_path: Path) -> None:
    save_stream(tmp_path, StreamState("bronze"))
    for name, text in (("silver", "{"), ("documents", '{"stream": "documents", "unknown": 1}')):
        (tmp_path / "streams" / f"{name}.json").write_text(text)
    assert [stream.stream for stream in load_streams(tmp_path)] == ["bronze"]


def test_running_stream_whose_process_has_gone_is_told_as_died(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipelines.streams import *\n"
        "save_stream(Path(sys.argv[1]), StreamState('bronze'))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    save_stream(tmp_path, StreamState("documents", status="ended"))
    save_stream(tmp_path, StreamState("silver"))
    found = {s.stream: (s.is_live, s.condition) for s in load_streams(tmp_path)}
    assert found == {
        "bronze": (False, "died"),
        "documents": (False, "ended"),
        "silver": (True, "running"),
    }


def test_another_process_under_the_same_number_is_not_taken_for_the_stream() -> None:
    mine = StreamState("silver")
    assert mine.is_live
    reused = StreamState("silver", process_started_at=mine.process_started_at - 60)
    assert (reused.is_live, reused.condition) == (False, "died")
