"""A purchase: the customer is not offered the item again for a while."""

from collections.abc import Iterable
from datetime import timedelta

from serving import live_values as values
from serving.reactions import Effect, Event, Live, Put, reaction

BOUGHT_FOR = timedelta(days=30)


@reaction("purchase")
def purchased(event: Event, live: Live) -> Iterable[Effect]:
    """What the customer has bought lately; nothing of a guest."""
    if customer := event.text("customer_id"):
        before = live.get(values.BOUGHT, customer)
        bought = values.with_purchase(before, event.item_id, event.at)
        yield Put(values.BOUGHT, customer, bought, BOUGHT_FOR, is_merged=True)
