"""Events to the broker, each batch answered when the broker has all of it."""

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any, Protocol

from pipelines.errors import BrokerError
from pipelines.settings_sections import KafkaSettings

ACKNOWLEDGED_S = 10
RECONNECT_S = 5.0
MAX_WAITING = 100_000  # events of all requests; beyond it a request is told to come again


class Sender(Protocol):
    """Where events go."""

    async def send(self, events: Sequence[tuple[bytes, bytes]]) -> None:
        """Return once the broker has acknowledged all (key, payload) pairs.

        Raises:
            BrokerError: it has not, or not all; to send them again is harmless.
        """


class KafkaSender:
    """Sends to a topic with `acks=all`; connects with the first batch, so that it may be forked."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: Any = None
        self._connecting = asyncio.Lock()
        self._refused: str | None = None
        self._again_at = 0.0

    async def send(self, events: Sequence[tuple[bytes, bytes]]) -> None:
        """See `Sender.send`."""
        async with self._connecting:
            if self._producer is None:
                await self._connect_once()
        batch = _Batch(len(events))
        try:
            for key, payload in events:
                self._producer.produce(self._kafka.topic, payload, key, on_delivery=batch.tell)
        except BufferError:
            raise BrokerError("too many events wait for the broker; send them again") from None
        try:
            failure = await asyncio.wait_for(batch.done, ACKNOWLEDGED_S + 1)
        except TimeoutError:
            failure = "no answer"
        if failure:
            raise BrokerError(
                f"the broker at {self._kafka.bootstrap_servers} did not take the events: {failure};"
                " see that it runs, then send them again"
            )

    async def _connect_once(self) -> None:
        """Connect, or say what the last attempt said: requests do not queue for a dead broker."""
        if self._refused is not None and time.monotonic() < self._again_at:
            raise BrokerError(self._refused)
        try:
            self._producer = await asyncio.to_thread(self._connect)
        except BrokerError as error:
            self._refused, self._again_at = str(error), time.monotonic() + RECONNECT_S
            raise

    def _connect(self) -> Any:
        from confluent_kafka import Producer

        from pipelines.sources.topic import ensure_topic

        servers = self._kafka.bootstrap_servers
        ensure_topic(servers, self._kafka.topic, self._kafka.partitions)
        producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,  # a request waits for it
                "compression.type": "lz4",
                "delivery.timeout.ms": ACKNOWLEDGED_S * 1000,
                "queue.buffering.max.messages": MAX_WAITING,
                "log_level": 0,
            }
        )
        threading.Thread(target=_poll, args=[producer], name="events", daemon=True).start()
        return producer


class _Batch:
    """What is still under way of one request; `tell` is called by the polling thread alone."""

    def __init__(self, size: int) -> None:
        self._left, self._failure = size, ""
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[str] = self._loop.create_future()

    def tell(self, error: Any, message: Any) -> None:
        self._left -= 1
        if error is not None:
            self._failure = error.str()
        if not self._left and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._finish)

    def _finish(self) -> None:
        if not self.done.done():  # the request may have given up
            self.done.set_result(self._failure)


def _poll(producer: Any) -> None:
    while True:
        producer.poll(1.0)
