"""The audit log: who ran what, without naming a customer, in files that do not grow for ever."""

import json
import multiprocessing
from pathlib import Path

import pytest
from here import lakehouse

from pipelines.audit import FILE, record, without_values
from pipelines.io.lake import open_lake
from pipelines.settings import load_settings

PROCESSES, LINES = 4, 200


def lines(state: Path, name: str = FILE) -> list[dict[str, object]]:
    return [json.loads(line) for line in (state / name).read_text().splitlines()]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (["erase", "--customer", "c-17"], ["erase", "--customer", "?"]),
        (["erase", "--customer=c-17"], ["erase", "--customer", "?"]),
        (["refresh", "gold.top_sellers", "--full"], ["refresh", "gold.top_sellers", "--full"]),
        (
            ["query", "SELECT a FROM t WHERE customer_id = 'c-17' AND n > 3 -- c-17"],
            ["query", "SELECT a FROM t WHERE customer_id = ? AND n > ?"],
        ),
        (["query", "SELEC 'c-17' c-17"], ["query", "SELEC ..."]),
        (["query", "DELETE FROM t WHERE c = 'c-17'"], ["query", "DELETE ..."]),
    ],
)
def test_arguments_are_kept_without_what_may_name_a_person(
    given: list[str], kept: list[str]
) -> None:
    assert without_values(given) == kept


def test_a_command_is_written_down_with_who_ran_it_and_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(overrides={"root": str(tmp_path / "lake")})
    state = open_lake(settings, create=True)
    lakehouse(monkeypatch, "keys", "list", "--root", settings.root)
    lakehouse(monkeypatch, "keys", "revoke", "nobody", "--root", settings.root)
    done, failed = lines(state)
    assert done["arguments"] == ["keys", "list", "--root", settings.root]
    assert (done["code"], failed["code"]) == (0, 2)
    assert {"at", "user", "pid", "env", "seconds", "kind"} <= done.keys()
    assert (state / FILE).stat().st_mode & 0o077 == 0


def test_a_command_without_a_lake_makes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lakehouse(monkeypatch, "query", "SELECT 1", "--root", str(tmp_path / "lake")) == 1
    assert not (tmp_path / "lake").exists()


def test_the_log_is_bounded_and_its_lines_are_whole_however_many_write(tmp_path: Path) -> None:
    forked = multiprocessing.get_context("fork")
    writers = [forked.Process(target=write, args=(tmp_path, n)) for n in range(PROCESSES)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    files = sorted((tmp_path / "audit").glob("*.jsonl"))
    assert len(files) == 3  # the one that is written to, and two aside
    assert all(file.stat().st_size < 4096 + PROCESSES * 300 for file in files)
    found = [line for file in files for line in lines(tmp_path, f"audit/{file.name}")]
    assert len({(line["writer"], line["number"]) for line in found}) == len(found) > 50


def write(state: Path, writer: int) -> None:
    for number in range(LINES):
        record(state, 4096, 2, writer=writer, number=number, text="x" * 50)


def test_what_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    record(tmp_path / "absent" / "state", 4096, 1, kind="command")
    assert not (tmp_path / "absent").exists()
