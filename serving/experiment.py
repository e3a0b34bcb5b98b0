"""Which model a customer of an experiment gets, and that it was shown."""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b

from pipelines.errors import BrokerError
from serving.sender import Sender

CHAMPION, CHALLENGER = "champion", "challenger"
SAID_EVERY_S = 10.0  # of lost impressions, not of each: a broker may be away for long

logger = logging.getLogger(__name__)
Event = Mapping[str, object]
Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Experiment:
    """A running experiment.

    Attributes:
        permille: customers in 1000 who get the challenger.
    """

    name: str
    permille: int

    def arm(self, customer_id: str) -> str:
        """Always the same for a customer; of all customers so many get the challenger.

        It depends on the name as well, so that the next experiment deals the customers anew.
        """
        text = f"{self.name}|{customer_id}".encode()
        place = int.from_bytes(blake2b(text, digest_size=8).digest()) % 1000
        return CHALLENGER if place < self.permille else CHAMPION


def impression(
    experiment: Experiment, customer_id: str, region: str, version: str, items: Sequence[str]
) -> Event:
    """The event that a customer got a list of at least one item."""
    return {
        "event_id": str(uuid.uuid4()),
        "event_type": "impression",
        "occurred_at": datetime.now(UTC).isoformat(timespec="microseconds")[:-6] + "Z",
        "item_id": items[0],
        "region": region,
        "customer_id": customer_id,
        "attributes": {
            "experiment": experiment.name,
            "arm": experiment.arm(customer_id),
            "model_version": version,
            "challenger_permille": experiment.permille,
            "items": list(items),
        },
    }


def teller(sender: Sender | None) -> Tell:
    """What sends impressions beside their requests, which neither wait for it nor fail with it.

    It is called in the event loop. What the broker does not take is sent once more, which counts
    once, and then lost; how many are is logged.
    """
    under_way: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly
    lost, said_at = 0, -SAID_EVERY_S

    def lose(why: object) -> None:
        nonlocal lost, said_at
        lost += 1
        if time.monotonic() - said_at >= SAID_EVERY_S:
            logger.warning("impressions are lost, %d so far: %s", lost, why)
            said_at = time.monotonic()

    async def send(taker: Sender, event: Event) -> None:
        payload = json.dumps(event, separators=(",", ":")).encode()
        pair = (str(event["customer_id"]).encode(), payload)
        try:
            try:
                await taker.send([pair])
            except BrokerError:
                await taker.send([pair])
        except BrokerError as error:
            lose(error)

    def tell(event: Event) -> None:
        if sender is None:
            lose("an experiment needs a broker; set source.kafka.bootstrap_servers")
            return
        task = asyncio.get_running_loop().create_task(send(sender, event))
        under_way.add(task)
        task.add_done_callback(under_way.discard)

    return tell
