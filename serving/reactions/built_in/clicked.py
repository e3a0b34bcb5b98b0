"""A click: later recommendations of the visit, and of the customer, lean towards it."""

from collections.abc import Iterable
from datetime import timedelta

from serving import live_values as values
from serving.reactions import Effect, Event, Live, Put, reaction

REMEMBERED_FOR = timedelta(days=1)


@reaction("click")
def clicked(event: Event, live: Live) -> Iterable[Effect]:
    """The last clicks, by visit and by customer."""
    keys = [f"s:{event.text('session_id')}"]
    if customer := event.text("customer_id"):
        keys.append(f"c:{customer}")
    for key in keys:
        before = live.get(values.TASTE, key)
        after = values.with_click(before, event.stamp, event.item_id, event.category)
        yield Put(values.TASTE, key, after, REMEMBERED_FOR, is_merged=True)
