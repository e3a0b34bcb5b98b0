"""Which events a reaction is about."""

from dataclasses import dataclass

from pipelines.errors import ConfigError
from serving.reactions.event import TYPES, Event
from serving.reactions.live import Live

STOCK_TYPES = frozenset({"purchase", "inventory_change"})
PRICE_TYPES = frozenset({"price_change"})


@dataclass(frozen=True)
class Pattern:
    """Events of some types, categories and regions; empty: any.

    Attributes:
        price_drop: percent by which the price in the region fell, against the one before it.
        stock_under: with this event the stock in the region came below so many units.

    Raises:
        ConfigError: an unknown type, or a threshold that its types cannot cross.
    """

    types: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    price_drop: float | None = None
    stock_under: int | None = None

    def __post_init__(self) -> None:
        if unknown := self.types - TYPES:
            raise ConfigError(
                f"no event type {', '.join(sorted(unknown))}; there are {', '.join(sorted(TYPES))}"
            )
        for name, limit, possible in (
            ("price_drop", self.price_drop, PRICE_TYPES),
            ("stock_under", self.stock_under, STOCK_TYPES),
        ):
            if limit is not None and not (self.types and self.types <= possible):
                raise ConfigError(f"{name} needs type {' or '.join(sorted(possible))} and no other")

    def takes(self, event: Event) -> bool:
        """Whether type, category and region fit: all that can be told from the event alone."""
        return (
            (not self.types or event.type in self.types)
            and (not self.categories or event.category in self.categories)
            and (not self.regions or event.region in self.regions)
        )

    def matches(self, event: Event, live: Live) -> bool:
        """Whether the event fits, its thresholds seen with what was known when it happened."""
        return (
            self.takes(event)
            and (self.price_drop is None or self._fell(event, live.price_before(event)))
            and (self.stock_under is None or self._ran_low(live.stock(event)))
        )

    def _fell(self, event: Event, before: int | None) -> bool:
        if not before or self.price_drop is None:
            return False
        fall = before - int(event.fields["price_cents"])
        return fall > 0 and 100 * fall >= self.price_drop * before

    def _ran_low(self, stock: tuple[int, int] | None) -> bool:
        if stock is None or self.stock_under is None:
            return False
        before, after = stock
        return after < self.stock_under <= before
