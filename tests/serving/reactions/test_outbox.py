"""Calls that wait, ended or died are where they were, also after a crash."""

from pathlib import Path

import pytest

from pipelines.errors import StoreError
from serving.reactions import outbox as module
from serving.reactions.outbox import Letter, Outbox


def letter(number: int, webhook: str = "buyers") -> Letter:
    return Letter(f"id-{number}", "mine", webhook, '{"n":1}')


def test_calls_come_in_their_order_each_once(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "outbox.db"
    outbox = Outbox(path)
    outbox.add([letter(1)])
    outbox.add([letter(2), letter(1), letter(3, "others")])
    outbox.close()
    outbox = Outbox(path)
    first = outbox.due("buyers")
    assert first is not None and (first.id, first.attempts) == ("id-1", 0)
    outbox.done(first)
    outbox.add([letter(1)])  # its event is read again
    second = outbox.due("buyers")
    assert second is not None and second.id == "id-2"
    outbox.retry(second, "busy", 3600)
    assert outbox.due("buyers") is None
    assert outbox.counts() == {"done": 1, "waiting": 2}
    outbox.close()


def test_a_burial_is_the_same_until_it_is_done(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    assert outbox.burial()[1:] == (0, [])
    outbox.add([letter(1)])
    outbox.die(letter(1), "gone")
    name, number, dead = outbox.burial()
    assert [(one.id, one.attempts, one.error) for one in dead] == [("id-1", 1, "gone")]
    outbox.give_up(Letter("id-2", "mine", "", "{}", 1, "wrong"))
    outbox.close()
    outbox = Outbox(tmp_path / "outbox.db")
    assert outbox.burial() == (name, number, dead)
    outbox.buried(number)
    again, following, others = outbox.burial()
    assert (again, following) == (name, number + 1) and [one.id for one in others] == ["id-2"]
    outbox.close()


def test_what_ended_long_ago_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = Outbox(tmp_path / "outbox.db")
    outbox.add([letter(1), letter(2), letter(3)])
    outbox.done(letter(1))
    outbox.die(letter(2), "gone")
    outbox.forget()
    assert outbox.counts() == {"dead": 1, "done": 1, "waiting": 1}
    monkeypatch.setattr(module, "REMEMBERED_S", -1)
    outbox.forget()
    assert outbox.counts() == {"dead": 1, "waiting": 1}
    outbox.close()


def test_a_damaged_file_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "outbox.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match=r"outbox\.db: file is not a database") as caught:
        Outbox(tmp_path / "outbox.db")
    assert "\n" not in str(caught.value)
