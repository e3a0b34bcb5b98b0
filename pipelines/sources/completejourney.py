"""The Complete Journey as a stream of events: a year of real receipts of 2,469 households.

Real: items, purchases, promotions, and the price changes that follow from the purchases.
Simulated from the real purchases, seeded and marked `"simulated":true`: clicks and stock movements.
The data has no time zone and no geography: times are taken as UTC, regions are derived from who
shops where.

The full year on one core: 4.66 million events of 285 bytes in 13 to 18 s, peak memory 0.9 GiB.
"""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np

from pipelines.errors import SourceError
from pipelines.sources.completejourney_data import (
    Journey,
    Lines,
    data_dir,
    read_journey,
    version,
)
from pipelines.sources.completejourney_derived import (
    MIN_LINES_TO_PROMOTE,
    clicks,
    price_changes,
    sample,
    stock_changes,
)
from pipelines.sources.completejourney_groups import Bools, Ints
from pipelines.sources.completejourney_json import (
    CLICK,
    ITEM,
    PRICE,
    PROMOTION,
    PURCHASE,
    STOCK,
    Pieces,
    Texts,
    category_name,
    click_texts,
    item_text,
    pieces,
    price_texts,
    promotion_texts,
    purchase_texts,
    stock_texts,
)
from pipelines.sources.completejourney_promotions import Promotions, promotions

# Raise it whenever another event comes out for the same seed: it is part of the event ids.
GENERATOR_VERSION = 2
SLICE_EVENTS = 65_536

_Track = tuple[Ints, Ints, Callable[[Ints], list[str]]]


def events(*, seed: int = 17, limit: int | None = None) -> Iterator[tuple[bytes, bytes]]:
    """All events: the items first, then everything else in the order it is sent.

    A click that a phone sends twice arrives again up to a minute late, byte for byte the same;
    everything else is in order of `occurred_at`. A sample holds real purchases of the full
    stream under the same ids.

    Args:
        seed: of everything simulated and of the choice of a sample.
        limit: about how many events to make from some households and products; None for all.

    Yields:
        The key (item_id) and the payload, compact JSON in UTF-8.

    Raises:
        SourceError: the package is missing or damaged, or the limit is too small to hold a
            single purchase.
    """
    journey = read_journey()
    lines, promoted = journey.lines, promotions(journey)
    if limit is not None:
        lines, promoted = _sample(lines, promoted, limit, seed)
    if not len(lines.at):
        raise SourceError(f"a sample of {limit} events holds no purchase; use --limit 1000 or more")
    offered = np.ones(len(journey.products), dtype=np.bool_)
    if limit is not None:
        offered = np.isin(np.arange(len(journey.products)), lines.product)
    keys = np.array([str(one).encode() for one in journey.product_ids.tolist()], dtype=object)
    yield from _items(journey, offered, keys)
    tracks = _tracks(journey, lines, promoted, pieces(journey), seed, limit)
    del journey
    yield from _in_time_order(tracks, keys)


def fingerprint(seed: int = 17, limit: int | None = None) -> str:
    """What determines the stream: the same fingerprint, the same bytes (SHA-256, hex).

    Raises:
        SourceError: the package is not installed.
    """
    sizes = [(file.name, file.stat().st_size) for file in sorted(data_dir().glob("*.parquet"))]
    parts = (version(), sizes, seed, limit, GENERATOR_VERSION)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _sample(lines: Lines, promoted: Promotions, limit: int, seed: int) -> tuple[Lines, Promotions]:
    """Lines of a sample, and the promotions of what is bought often in it."""
    place = lines.product * 16 + lines.region
    per_place = np.bincount(promoted.place, minlength=int(place.max()) + 1)
    kept = sample(lines, limit, seed, per_place[place])
    sold, count = np.unique(kept.product * 16 + kept.region, return_counts=True)
    often = sold[count >= MIN_LINES_TO_PROMOTE]
    return kept, promoted.take(np.isin(promoted.place, often))


def _id_head(kind: int, fold: tuple[object, ...] | None) -> str:
    """A UUID of version 8 up to its last group; what `fold` holds goes into its free bits."""
    free = hashlib.sha256(repr(fold).encode()).hexdigest() if fold else "0" * 64
    return f"{kind:08x}-{free[:4]}-8{free[4:7]}-8{free[7:10]}-"


def _items(journey: Journey, offered: Bools, keys: Texts) -> Iterator[tuple[bytes, bytes]]:
    head = _id_head(ITEM, None)
    for code in np.flatnonzero(offered).tolist():
        row = journey.products[code]
        if row is not None:
            yield keys[code], item_text(row, f"{head}{code:012x}").encode()


def _tracks(
    journey: Journey,
    lines: Lines,
    promoted: Promotions,
    p: Pieces,
    seed: int,
    limit: int | None,
) -> tuple[_Track, ...]:
    """When, of which product, and how to write the rows; in the order of equal seconds."""
    names = [category_name(row) if row else "" for row in journey.products]
    category = np.unique(np.array(names), return_inverse=True)[1]
    prices = price_changes(lines, journey.weighed)
    stock = stock_changes(lines, journey.fuel, seed)
    viewed = clicks(lines, category, journey.fuel, seed)
    fold = (seed, limit, GENERATOR_VERSION)
    # Prices of a sample are those of fewer receipts, so they must not pass for the full ones.
    price_head = _id_head(PRICE, None if limit is None else fold)
    stock_head, click_head = _id_head(STOCK, fold), _id_head(CLICK, fold)
    purchase_head, promotion_head = _id_head(PURCHASE, None), _id_head(PROMOTION, None)
    return (
        (
            promoted.at,
            promoted.product,
            lambda rows: promotion_texts(promoted, rows, p, promotion_head),
        ),
        (prices.at, prices.product, lambda rows: price_texts(prices, rows, p, price_head)),
        (stock.at, stock.product, lambda rows: stock_texts(stock, rows, p, stock_head)),
        (viewed.sent_at, viewed.product, lambda rows: click_texts(viewed, rows, p, click_head)),
        (lines.at, lines.product, lambda rows: purchase_texts(lines.take(rows), p, purchase_head)),
    )


def _in_time_order(tracks: tuple[_Track, ...], keys: Texts) -> Iterator[tuple[bytes, bytes]]:
    track = np.repeat(np.arange(len(tracks), dtype=np.int8), [len(at) for at, _, _ in tracks])
    row = np.concatenate([np.arange(len(at), dtype=np.int32) for at, _, _ in tracks])
    order = np.argsort(np.concatenate([at for at, _, _ in tracks]), kind="stable")
    for start in range(0, len(order), SLICE_EVENTS):
        part = order[start : start + SLICE_EVENTS]
        slice_keys = np.empty(len(part), dtype=object)
        payloads = np.empty(len(part), dtype=object)
        for number, (_, product, texts) in enumerate(tracks):
            here = track[part] == number
            rows = row[part][here].astype(np.int64)
            slice_keys[here] = keys[product[rows]]
            # One encoding for the slice; compact JSON holds no line break.
            encoded = "\n".join(texts(rows)).encode().split(b"\n") if len(rows) else []
            payloads[here] = np.array(encoded, dtype=object)
        yield from zip(slice_keys.tolist(), payloads.tolist(), strict=True)
