"""What is broken inside the program, by name: deaths at a step, lost responses, and mutants.

Each replaces one function of the program in this process; `!mend` puts all of them back. The
breaks of `breaks_*.py` are among them.
"""

import importlib
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

_PATCHES = ExitStack()


def patch(module: Any, name: str, replacement: Any) -> None:
    """Replace until `!mend`."""
    _PATCHES.enter_context(mock.patch.object(module, name, replacement))


def die() -> None:
    """`kill -9` of this process and its JVM, which share a group."""
    os.killpg(0, signal.SIGKILL)


def _mend() -> None:
    _PATCHES.close()


def _die_in_batch(stage: str, when: str, nth: str) -> None:
    """Die as the nth batch of a stream begins (its offsets are written), or when all is written.

    `start`: before the stream is started, so that no offsets of the next batch are written.
    """
    from pipelines.io import ingest

    whole, seen = ingest.exactly_once, [0]

    def mortal(arriving: Any, at: str, checkpoint: str, add: Callable[..., None]) -> Any:
        if at != stage:
            return whole(arriving, at, checkpoint, add)
        if when == "start":
            die()

        def add_and_die(batch: Any, transaction: Any) -> None:
            seen[0] += 1
            if when == "begin" and seen[0] == int(nth):
                die()
            add(batch, transaction)
            if when == "end" and seen[0] == int(nth):
                die()

        return whole(arriving, at, checkpoint, add_and_die)

    patch(ingest, "exactly_once", mortal)


def _after_writes(nth: str, then: Callable[[], None]) -> None:
    """Do something after the nth table that a silver batch has committed to."""
    from pipelines.io import silver

    whole, seen = silver.write, [0]

    def write(*arguments: Any, **named: Any) -> bool:
        done = whole(*arguments, **named)
        seen[0] += 1
        if seen[0] == int(nth):
            then()
        return done

    patch(silver, "write", write)


@contextmanager
def _counted(nth: int, seen: list[int]) -> Iterator[bool]:
    seen[0] += 1
    yield seen[0] == nth


def _after_views(nth: str, then: Callable[[], None]) -> None:
    """Do something after the nth commit to a view, before it is noted."""
    from pipelines.views import refresh

    seen = [0]

    def after(whole: Callable[..., Any]) -> Callable[..., Any]:
        def write(*arguments: Any, **named: Any) -> Any:
            done = whole(*arguments, **named)
            with _counted(int(nth), seen) as is_it:
                if is_it:
                    then()
            return done

        return write

    patch(refresh, "patch", after(refresh.patch))
    patch(refresh, "write_view", after(refresh.write_view))


def _lose() -> None:
    raise OSError("the response of the commit was lost")


def _lose_in_bronze() -> None:
    from pipelines.io import ingest

    whole = ingest.write

    def write(*arguments: Any, **named: Any) -> bool:
        whole(*arguments, **named)
        raise OSError("the response of the commit was lost")

    patch(ingest, "write", write)


BREAKS: dict[str, Callable[..., None]] = {
    "!mend": _mend,
    "!die in batch": _die_in_batch,
    "!die after write": lambda nth: _after_writes(nth, die),
    "!die after view": lambda nth: _after_views(nth, die),
    "!lose in bronze": _lose_in_bronze,
    "!lose in silver": lambda nth: _after_writes(nth, _lose),
    "!lose in view": lambda nth: _after_views(nth, _lose),
}


def all_breaks() -> dict[str, Callable[..., None]]:
    """Those of this module and of every `breaks_*.py` beside it."""
    found = dict(BREAKS)
    for file in sorted(Path(__file__).parent.glob("breaks_*.py")):
        found |= importlib.import_module(file.stem).BREAKS
    return found
