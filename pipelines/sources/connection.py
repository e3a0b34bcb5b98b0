"""The broker that a command talks to: the configured one, or one of our own."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.settings import Settings
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
