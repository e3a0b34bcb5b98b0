"""What every command needs around its work: the lake, its lock, a broker, clean endings."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pipelines.io.lake import open_lake, writer_lock
from pipelines.settings import Settings, load_settings
from pipelines.sources.broker import LocalBroker


@dataclass(frozen=True)
class Kafka:
    """Settings that name a broker which runs, and a look at whether it still does."""

    settings: Settings
    check_alive: Callable[[], None]

    def watched(self, progress: Callable[[str, int], None]) -> Callable[[str, int], None]:
        """`progress` that also looks at the broker; Spark alone waits a minute for a dead one."""

        def report(stage: str, count: int) -> None:
            self.check_alive()
            progress(stage, count)

        return report


def settings_for(env: str, root: str | None, overrides: dict[str, Any] | None = None) -> Settings:
    """Settings of an environment with what the command line says on top."""
    given = dict(overrides or {})
    if root:
        given["root"] = root
    return load_settings(env, overrides=given)


@contextlib.contextmanager
def writing(settings: Settings, *, create: bool = False) -> Iterator[Path]:
    """The state folder of the lake, with its writer lock held."""
    state = open_lake(settings, create=create)
    with writer_lock(state):
        yield state


@contextlib.contextmanager
def kafka(settings: Settings) -> Iterator[Kafka]:
    """The configured broker, or one of our own that is gone when the block ends."""
    source = settings.source
    if source.kind != "kafka" or source.kafka.bootstrap_servers:
        yield Kafka(settings, lambda: None)
        return
    with LocalBroker(settings.state) as broker:
        own = source.kafka.model_copy(update={"bootstrap_servers": broker.bootstrap_servers})
        with_broker = settings.model_copy(
            update={"source": source.model_copy(update={"kafka": own})}
        )
        yield Kafka(with_broker, broker.check_alive)


def end_on_sigterm() -> None:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that brokers and locks are let go."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
