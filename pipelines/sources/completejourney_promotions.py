"""Promotions of the Complete Journey: what was on display or in the mailer, by region and week.

The data has a row per product, store and week, 20.9 million of them. Prices and stock hold in a
region here, so promotions do too: an item is promoted in a region where at least half of the
stores that report placed it. Items that are bought fewer than `MIN_LINES_TO_PROMOTE` times there
are left out. Measured: 235,469 promotions of 28,832 items in a region; 634,926 if bought once.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import SourceError
from pipelines.sources.completejourney_data import PACKAGE, WEEK, Journey, data_dir
from pipelines.sources.completejourney_derived import DAY, MIN_LINES_TO_PROMOTE, START
from pipelines.sources.completejourney_groups import Bools, Ints, Texts

WEEKS = 64  # more than there are, so that place * WEEKS + week is a key
FIRST_MONDAY = START - 6 * DAY  # week 1 is the last one of 2016 and has one day of 2017


@dataclass(frozen=True)
class Promotions:
    """In time order.

    Attributes:
        number: the same for a promotion of a sample and of the whole.
        stores: stores of the region that report at all, of which `display_stores` had the item on
            display and `mailer_stores` in the mailer.
    """

    at: Ints
    number: Ints
    product: Ints
    region: Ints
    duration_days: Ints
    stores: Ints
    display_stores: Ints
    mailer_stores: Ints

    @property
    def placement(self) -> Texts:
        """`display`, `mailer` or `both`: what at least half of the stores that report did."""
        on_display = 2 * self.display_stores >= self.stores
        in_mailer = 2 * self.mailer_stores >= self.stores
        return np.select([on_display & in_mailer, on_display], ["both", "display"], "mailer")

    @property
    def place(self) -> Ints:
        """Item and region as one number."""
        place: Ints = self.product * 16 + self.region
        return place

    def take(self, keep: Bools) -> "Promotions":
        """The promotions where `keep` is true."""
        return Promotions(**{name: column[keep] for name, column in vars(self).items()})


def promotions(journey: Journey) -> Promotions:
    """All promotions of places that sell (about 3 s).

    Raises:
        SourceError: the file is missing or cannot be read.
    """
    lines = journey.lines
    region = np.zeros(len(journey.store_ids), dtype=np.int64)
    region[lines.store] = lines.region
    place, count = np.unique(lines.product * 16 + lines.region, return_counts=True)
    place = place[count >= MIN_LINES_TO_PROMOTE]
    display = np.zeros(len(place) * WEEKS, dtype=np.uint16)
    mailer = np.zeros_like(display)
    reporting = np.zeros(len(journey.store_ids), dtype=np.bool_)
    bit = np.zeros(len(journey.store_ids), dtype=np.uint16)
    for store, product, week, on_display, in_mailer in _placements(journey):
        new = np.setdiff1d(store, np.flatnonzero(reporting))
        for one in new.tolist():  # a bit of its own within the region: 15 stores report at most
            bit[one] = 1 << int(np.sum(reporting & (region == region[one])))
            reporting[one] = True
        here = product * 16 + region[store]
        index = np.minimum(np.searchsorted(place, here), len(place) - 1)
        sells = place[index] == here
        key = index * WEEKS + week
        for mask, placed in ((display, on_display & sells), (mailer, in_mailer & sells)):
            np.bitwise_or.at(mask, key[placed], bit[store[placed]])
    displayed, mailed = (np.bitwise_count(mask).astype(np.int64) for mask in (display, mailer))
    stores = np.bincount(region[reporting], minlength=17)[np.repeat(place % 16, WEEKS)]
    number = np.flatnonzero((2 * displayed >= stores) | (2 * mailed >= stores))
    number = number[np.argsort(number % WEEKS, kind="stable")]
    monday = FIRST_MONDAY + (number % WEEKS - 1) * WEEK
    at = np.maximum(monday, START)
    return Promotions(
        at=at,
        number=number,
        product=place[number // WEEKS] // 16,
        region=place[number // WEEKS] % 16,
        duration_days=(monday + WEEK - at) // DAY,
        stores=stores[number],
        display_stores=displayed[number],
        mailer_stores=mailed[number],
    )


def _placements(journey: Journey) -> Iterator[tuple[Ints, Ints, Ints, Bools, Bools]]:
    """Slices of the file: store and product as codes, week, on display, in the mailer."""
    file = data_dir() / "promotions.parquet"
    places = ["display_location", "mailer_location"]
    try:
        source = pq.ParquetFile(file, read_dictionary=places)
        for batch in source.iter_batches(1 << 20):
            yield (
                np.searchsorted(journey.store_ids, batch["store_id"].to_numpy()),
                np.searchsorted(journey.product_ids, batch["product_id"].to_numpy()),
                batch["week"].to_numpy().astype(np.int64),
                *(_is_placed(batch[name]) for name in places),
            )
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"{file} is not readable: {reason}; reinstall {PACKAGE}") from None


def _is_placed(location: pa.Array) -> Bools:
    placed: Bools = pc.not_equal(location, "0").to_numpy(zero_copy_only=False)
    return placed
