"""A price changed: the API tells it at once, in prices and in search."""

from collections.abc import Iterable

from serving import live_values as values
from serving.reactions import Effect, Event, Live, Put, reaction


@reaction("price_change")
def price_changed(event: Event, live: Live) -> Iterable[Effect]:
    """The hot price of the item in its region."""
    cents, currency = int(event.fields["price_cents"]), event.text("currency")
    before = live.get(values.PRICES, event.item_id)
    after = values.with_price(before, event.region, event.stamp, cents, currency)
    yield Put(values.PRICES, event.item_id, after, is_merged=True)
