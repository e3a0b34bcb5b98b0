"""Stock moved: the API tells it at once; what runs low is alerted and no longer recommended."""

from collections.abc import Iterable

from serving import live_values as values
from serving.reactions import Effect, Emit, Event, Live, Put, reaction
from serving.reactions.live import move_of


@reaction("purchase", "inventory_change")
def stock_moved(event: Event, live: Live) -> Iterable[Effect]:
    """The item's level in its region, an alert as it runs low there, and where it is short."""
    stock = live.stock(event)
    published = live.published_levels(event.item_id)
    before = live.get(values.STOCK, event.item_id)
    after = values.with_move(before, published, move_of(event))
    yield Put(values.STOCK, event.item_id, after, is_merged=True)
    short = values.shortage(values.levels(published, after), live.stock_under)
    yield Put(values.SHORT, event.item_id, short, is_merged=True)
    if stock and stock[1] < live.stock_under <= stock[0]:
        yield Emit("", {"alert": "stock_low", "quantity": stock[1], "under": live.stock_under})
