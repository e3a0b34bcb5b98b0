"""The thread that reads matched events and reacts on them, until stopped."""

import logging
import threading
import time

from pipelines.errors import LakehouseError
from serving.reactions.counts import Counts
from serving.reactions.delivery import Delivery
from serving.reactions.engine import Engine
from serving.reactions.topics import MatchedEvents

WAIT_S = 0.2  # for an event, before looking whether to stop
AGAIN_S = 1.0  # after a failure that may pass: the broker or Redis is away

logger = logging.getLogger(__name__)


class Reactor:
    """Reacts while its block runs.

    Args:
        tries: a batch that fails is done again after a second, so often in a row; then the
            reactor ends with the error.
    """

    def __init__(
        self,
        matched: MatchedEvents,
        engine: Engine,
        delivery: Delivery,
        counts: Counts,
        *,
        tries: int = 30,
    ) -> None:
        self._matched, self._engine, self._delivery = matched, engine, delivery
        self._counts, self._tries = counts, tries
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reactor")
        self.error: LakehouseError | None = None
        self.busy_at = time.monotonic()  # when an event was last reacted on

    def __enter__(self) -> "Reactor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._matched.close()

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                received = self._matched.take(WAIT_S)
                if received and self._react([one.value() for one in received]):
                    self._matched.keep(received)
                    now = time.time()
                    for one in received:
                        self._counts.took(now - _sent_at(one.headers()))
                    self.busy_at = time.monotonic()
        except LakehouseError as error:
            self.error = error

    def _react(self, payloads: list[bytes | None]) -> bool:
        """Until all effects are kept, or it is stopped: then they are not, and False."""
        for attempt in range(1, self._tries + 1):
            try:
                self._engine.react(payloads)
                self._delivery.wake()
                return True
            except LakehouseError as error:
                if attempt == self._tries:
                    raise
                if attempt == 1:
                    logger.warning("%s; tried again until it can be done", error)
            if self._stop.wait(AGAIN_S):
                break
        return False


def _sent_at(headers: list[tuple[str, bytes]] | None) -> float:
    """When the broker took the event, in seconds since 1970."""
    for name, value in headers or ():
        if name == "produced_at":
            return int(value) / 1000
    return time.time()
