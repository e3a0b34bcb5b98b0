"""The state folder: databases, logs and pages lose the person, and what cannot is named."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.errors import LakeError
from pipelines.io.erase_state import forget_in_state, remaining
from pipelines.settings import Settings

WHO, OTHER = "shopper-7f3a9c1e-0042", "shopper-7f3a9c1e-00421"


def test_databases_keep_their_rows_and_no_free_page_keeps_the_person(lake: Settings) -> None:
    file = lake.state / "mlflow.db"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute('CREATE TABLE "a tag" (id INTEGER PRIMARY KEY, "the value" TEXT, n BLOB)')
        rows = [(f'{{"customer_id":"{WHO}"}}', 1), (OTHER, b"\x00"), (None, None)]
        db.executemany('INSERT INTO "a tag" ("the value", n) VALUES (?, ?)', rows)
        db.commit()
        db.execute('UPDATE "a tag" SET "the value" = "the value" || "." WHERE id = 1')
        db.commit()
    assert forget_in_state(lake, (WHO,)) == 1
    with closing(sqlite3.connect(file)) as db:
        found = db.execute('SELECT "the value", n FROM "a tag" ORDER BY id').fetchall()
    assert found == [('{"customer_id":null}.', 1), (OTHER, b"\x00"), (None, None)]
    stored = b"".join(one.read_bytes() for one in lake.state.glob("mlflow.db*"))
    assert stored.count(WHO.encode()) == stored.count(OTHER.encode()) == 1
    assert forget_in_state(lake, (WHO,)) == 0
    assert remaining(lake, (WHO,)) == []


def test_a_database_in_use_is_named(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0}))
    with closing(connect(lake.state / "runs.db")) as db:
        db.execute("CREATE TABLE t (a TEXT)")
        db.execute("BEGIN IMMEDIATE")
        with pytest.raises(LakeError, match=r"runs\.db: database is locked; see that nothing else"):
            forget_in_state(lake, (WHO,))


def test_texts_lose_the_person_and_a_log_stays_open(lake: Settings) -> None:
    log, page = lake.state / "spark.log", lake.state / "report.html"
    page.write_text(f"<td>{WHO}</td><td>{OTHER}</td>")
    page.chmod(0o600)
    with log.open("a") as appending:
        appending.write(f"lost {WHO}\n")
        appending.flush()
        assert forget_in_state(lake, (WHO,)) == 2
        appending.write("found\n")
    assert log.read_text() == "lost erased\nfound\n"
    assert page.read_text() == f"<td>erased</td><td>{OTHER}</td>"
    assert page.stat().st_mode & 0o777 == 0o600


def test_what_still_holds_the_id_is_named(lake: Settings) -> None:
    notes = Path(lake.root) / "notes.bin"
    notes.write_bytes(b"\x00\xff" + WHO.encode() + b"\x00")
    named = lake.state / f"export of {WHO}.txt"
    named.touch()
    (lake.state / "another.txt").write_text(OTHER)
    assert forget_in_state(lake, (WHO,)) == 0
    assert remaining(lake, (WHO,)) == sorted([str(named), str(notes)])
    assert remaining(lake, ("42",)) == []  # too short to be told from other numbers
