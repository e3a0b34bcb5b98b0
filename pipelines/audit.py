"""Who asked for what: one JSON object a line, appended by every process, in a few bounded files.

A line names no customer and holds no value of a question: literals of SQL are `?`.
"""

import contextlib
import fcntl
import itertools
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

FILE = "audit/audit.jsonl"
_PERSONAL = ("--customer",)
_MOST_CHARACTERS = 2000  # of one value


def record(state: Path, most_bytes: int, keep: int, **fields: object) -> None:
    """Append a line to the audit log of a lake; `at` and `pid` are added.

    A log that cannot be written stops nothing: a full disk must not keep people from reading.

    Args:
        state: the lake's state folder.
        most_bytes: of one file; a full one is put aside.
        keep: files put aside; the oldest goes.
    """
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"at": now, "pid": os.getpid(), **fields}, default=_short)
    file = state / FILE
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, exist_ok=True)
        # One write of less than a page to a file that is open for appending is not torn.
        number = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(number, line.encode() + b"\n")
            is_full = os.fstat(number).st_size > most_bytes
        finally:
            os.close(number)
        if is_full:
            _put_aside(file, most_bytes, keep)


def _put_aside(file: Path, most_bytes: int, keep: int) -> None:
    """`audit.jsonl` becomes `audit.1.jsonl`, and so on, once whoever notices it."""
    with (file.parent / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if file.stat().st_size <= most_bytes:
            return  # another process was first
        names = [file, *(file.with_name(f"audit.{n}.jsonl") for n in range(1, keep + 1))]
        for newer, older in reversed(list(itertools.pairwise(names))):
            if newer.exists():
                newer.replace(older)
        file.unlink(missing_ok=True)  # if none are kept


def without_values(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command without what may name a person: `?` stands for it."""
    kept: list[str] = []
    for argument in arguments:
        if kept and kept[-1] in _PERSONAL:
            kept.append("?")
        elif argument.startswith("--") and argument.split("=")[0] in _PERSONAL:
            kept.append(argument.split("=")[0])
            kept += ["?"] if "=" in argument else []
        elif " " in argument.strip():
            kept.append(_shape(argument))
        else:
            kept.append(argument)
    return [one[:_MOST_CHARACTERS] for one in kept]


def _shape(sql: str) -> str:
    """A question without its literals; of a text that is none, its first word."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    try:
        tree = sqlglot.parse_one(sql, read="spark")
    except SqlglotError:
        return f"{sql.split()[0]} ..."
    if not isinstance(tree, exp.Query):
        return f"{sql.split()[0]} ..."
    for literal in list(tree.find_all(exp.Literal)):
        literal.replace(exp.Placeholder())
    return tree.sql(dialect="spark", comments=False)


def _short(value: object) -> str:
    return str(value)[:_MOST_CHARACTERS]
