"""What every command needs around its work: the lake, its locks, clean endings."""

import contextlib
import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from pipelines.io.lake import locks, open_lake
from pipelines.settings import Settings, load_settings


def settings_for(env: str, root: str | None, overrides: dict[str, Any] | None = None) -> Settings:
    """Settings of an environment with what the command line says on top."""
    given = dict(overrides or {})
    if root:
        given["root"] = root
    return load_settings(env, overrides=given)


@contextlib.contextmanager
def writing(settings: Settings, *names: str, create: bool = False) -> Iterator[Path]:
    """The state folder of the lake, with the writer locks of what the command changes.

    Args:
        names: the tables; also `model`, `online store` and `data docs`.
        create: make the lake if there is none.

    Raises:
        LockedError: another process is writing to one of them.
        LakeError: there is no lake, or another version made it.
    """
    state = open_lake(settings, create=create)
    with locks(state, names):
        yield state


def end_on_signals() -> None:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that brokers and locks are let go.

    Logging ends first: py4j would report the call that was interrupted, with its stack.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        logging.disable(logging.CRITICAL)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
