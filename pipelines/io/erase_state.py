"""A person out of the state folder: SQLite files, logs, pages; and a last look at every byte.

What is neither SQLite nor text is left as it is; `remaining` names it if the id stands in it.
"""

import mmap
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipelines.errors import LakeError
from pipelines.scrub import TELLING, forms, scrub_all
from pipelines.settings import Settings

# They have their own ways: the broker's topics, the online store; the locks hold process ids.
_APART = ("broker/data", "online", "online-copy", "locks")
_SQLITE = b"SQLite format 3\0"
_APPENDED = (".log", ".out", ".jsonl")  # a running process, this one too, may append to it
_MOST_BYTES = 1 << 30  # of a text that is read whole


def forget_in_state(settings: Settings, people: tuple[str, ...]) -> int:
    """Scrub the files of the state folder; returns how many changed.

    Raises:
        LakeError: a database is in use.
    """
    state = settings.state
    apart = [state / name for name in _APART]
    changed = 0
    for file in _files(state):
        if any(file.is_relative_to(folder) for folder in apart):
            continue
        with file.open("rb") as opened:
            is_database = opened.read(len(_SQLITE)) == _SQLITE
        changed += _database(file, people) if is_database else _text(file, people)
    return changed


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (f for f in sorted(folder.rglob("*")) if f.is_file() and not f.is_symlink())


def _text(file: Path, people: tuple[str, ...]) -> bool:
    if not _names(file, people) or file.stat().st_size > _MOST_BYTES:
        return False
    try:
        old = file.read_bytes().decode()
    except UnicodeDecodeError:
        return False
    new = scrub_all(old, people)
    if new == old:
        return False
    if file.suffix in _APPENDED:
        with file.open("r+b") as opened:
            opened.write(new.encode())
            opened.truncate()
        return True
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    draft.write_bytes(new.encode())
    draft.chmod(file.stat().st_mode)
    draft.replace(file)
    return True


def _database(file: Path, people: tuple[str, ...]) -> bool:
    """Scrub every text of every table, then write the file anew, so that no free page is left."""
    try:
        with closing(sqlite3.connect(file, timeout=10, isolation_level=None)) as db:
            db.create_function("scrub", 1, lambda text: scrub_all(text, people))
            before = db.total_changes
            for table, column in list(_columns(db)):
                # Names of tables and columns cannot be parameters; they come from the file itself.
                update = (
                    f"UPDATE {table} SET {column} = scrub({column}) WHERE"  # noqa: S608
                    f" typeof({column}) = 'text' AND scrub({column}) != {column}"
                )
                db.execute(update)
            changed = db.total_changes > before
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error as error:
        raise LakeError(
            f"{file}: {error}; see that nothing else uses it, then erase again"
        ) from None
    return changed


def _columns(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        quoted = f'"{table}"'
        for row in db.execute(f"PRAGMA table_info({quoted})").fetchall():
            yield quoted, f'"{row[1]}"'


def remaining(settings: Settings, people: tuple[str, ...]) -> list[str]:
    """The files of the lake and its state in which an id still stands, or is part of the name.

    Bytes that are compressed hide it; an id too short to be told from others is not looked for.
    """
    telling = tuple(who for who in people if len(who) >= TELLING)
    folders = {settings.state}
    if "://" not in settings.root:
        folders.add(Path(settings.root).expanduser().absolute())
    tops = [f for f in folders if not any(f != g and f.is_relative_to(g) for g in folders)]
    return [
        str(file)
        for folder in sorted(tops)
        for file in _files(folder)
        if telling and (_is_named(file.relative_to(folder), telling) or _names(file, telling))
    ]


def _is_named(file: Path, people: tuple[str, ...]) -> bool:
    """Whether an id is part of a file's name, its ending apart."""
    return any(_is_in(str(name), people) for name in (file, file.with_suffix("")))


def _names(file: Path, people: tuple[str, ...]) -> bool:
    """Whether an id stands in a file by itself."""
    ids = [form.encode() for who in people for form in forms(who)]
    with file.open("rb") as opened:
        if not os.fstat(opened.fileno()).st_size:
            return False
        with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for one in ids:
                at = content.find(one)
                while at >= 0:
                    around = content[max(0, at - 64) : at + len(one) + 64]
                    if _is_in(around.decode(errors="replace"), people):
                        return True
                    at = content.find(one, at + 1)
    return False


def _is_in(text: str, people: tuple[str, ...]) -> bool:
    return scrub_all(text, people) != text
