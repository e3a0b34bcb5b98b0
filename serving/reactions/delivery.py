"""Makes the calls of the outbox, a thread for each webhook: one that hangs holds up no other."""

import logging
import threading
from collections.abc import Callable, Sequence

from pipelines.errors import LakehouseError
from serving.reactions.counts import Counts
from serving.reactions.outbox import Letter, Outbox
from serving.reactions.webhook import Endpoint

LOOK_S = 0.25  # between looks at what is due again
BURY_S = 5.0  # between looks at what is dead: a commit to a table costs a second
FORGET_S = 3600.0

logger = logging.getLogger(__name__)
# Appends dead calls to a table, once: by the outbox's id and the number of the burial.
Bury = Callable[[str, int, Sequence[Letter]], None]


class Delivery:
    """Calls webhooks while its block runs.

    Args:
        bury: puts the calls that were given up into the table of dead letters; what it raises is
            logged, and it is asked again.
    """

    def __init__(
        self, outbox: Outbox, endpoints: Sequence[Endpoint], counts: Counts, bury: Bury
    ) -> None:
        self._outbox, self._counts, self._bury = outbox, counts, bury
        self._endpoints = endpoints
        self._stop = threading.Event()
        self._new = {endpoint.name: threading.Event() for endpoint in endpoints}
        self._threads = [
            threading.Thread(target=self._deliver, args=[one], name=f"webhook {one.name}")
            for one in endpoints
        ]
        self._threads.append(threading.Thread(target=self._tidy, name="dead letters"))

    def __enter__(self) -> "Delivery":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for new in self._new.values():
            new.set()
        for thread in self._threads:
            thread.join()
        for endpoint in self._endpoints:
            endpoint.close()
        self._bury_dead()

    def wake(self) -> None:
        """There may be calls to make."""
        for new in self._new.values():
            new.set()

    def _deliver(self, endpoint: Endpoint) -> None:
        new = self._new[endpoint.name]
        while not self._stop.is_set():
            try:
                letter = self._outbox.due(endpoint.name)
                if letter is not None:
                    self._attempt(endpoint, letter)
                    continue
            except LakehouseError as error:
                logger.error("%s: %s", endpoint.name, error)
            new.wait(LOOK_S)
            new.clear()

    def _attempt(self, endpoint: Endpoint, letter: Letter) -> None:
        outcome = endpoint.post(letter)
        if not outcome.error:
            self._outbox.done(letter)
            self._counts.calls["made"] += 1
        elif outcome.may_retry and letter.attempts + 1 < endpoint.hook.attempts:
            wait_s = endpoint.wait_s(letter.attempts + 1, outcome)
            self._outbox.retry(letter, outcome.error, wait_s)
            self._counts.calls["retried"] += 1
        else:
            self._outbox.die(letter, outcome.error)
            self._counts.calls["given_up"] += 1
            logger.warning(
                "webhook %s has not taken %s and will not be asked again: %s",
                endpoint.name,
                letter.id,
                outcome.error,
            )

    def _tidy(self) -> None:
        waited = FORGET_S
        while not self._stop.wait(BURY_S):
            self._bury_dead()
            waited += BURY_S
            if waited >= FORGET_S:
                self._outbox.forget()
                waited = 0.0

    def _bury_dead(self) -> None:
        try:
            name, number, letters = self._outbox.burial()
            if letters:
                self._bury(name, number, letters)
                self._outbox.buried(number)
        except LakehouseError as error:
            logger.warning("dead letters wait for their table: %s", error)
