"""What every command needs around its work: the lake, its locks, clean endings."""

import contextlib
import getpass
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from pipelines.audit import record, without_values
from pipelines.errors import ConfigError
from pipelines.io.lake import locks, open_lake
from pipelines.settings import Settings, load_settings

STOPPED = 130  # what a shell expects of a program that ended on Ctrl-C
_asked: list[Settings] = []  # the settings of the command that runs, once they are known


def settings_for(env: str, root: str | None, overrides: dict[str, Any] | None = None) -> Settings:
    """Settings of an environment with what the command line says on top."""
    given = dict(overrides or {})
    if root:
        given["root"] = root
    settings = load_settings(env, overrides=given)
    _asked[:] = [settings]
    return settings


@contextlib.contextmanager
def audited(arguments: Sequence[str]) -> Iterator[Callable[[int], int]]:
    """Write who ran a command, with what end, into the audit log of its lake, if it has one.

    Yields:
        What is told the exit code, and returns it.
    """
    _asked.clear()
    begun, code = time.monotonic(), STOPPED

    def tell(number: int) -> int:
        nonlocal code
        code = number
        return number

    try:
        yield tell
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        raise
    finally:
        for settings in _asked:
            with contextlib.suppress(ConfigError):  # a lake elsewhere may lack a state folder
                record(
                    settings.state,
                    settings.audit.max_mb << 20,
                    settings.audit.keep_files,
                    kind="command",
                    user=_user(),
                    arguments=without_values(arguments),
                    env=settings.env,
                    code=code,
                    seconds=round(time.monotonic() - begun, 3),
                )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in some containers
        return f"uid {os.getuid()}"


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


def stop_on_signals(stop: threading.Event) -> None:
    """Let SIGTERM and Ctrl-C set an event: what goes on until then ends in order, with success."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())


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
