"""Columns of the Complete Journey to JSON events, a slice of rows at a time.

Every distinct text is escaped once; a row is one f-string of ready pieces (about 2 µs an event).
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.sources.completejourney_data import Journey, Lines
from pipelines.sources.completejourney_derived import DAY, Clicks, PriceChanges, StockChanges
from pipelines.sources.completejourney_groups import REGION_COUNT, Ints
from pipelines.sources.completejourney_promotions import Promotions

ITEM, PURCHASE, PRICE, CLICK, STOCK, PROMOTION = 1, 2, 3, 4, 5, 6
ITEMS_AT = "2017-01-01T00:00:00Z"
SIMULATED = '"attributes":{"simulated":true}}'

Texts = npt.NDArray[np.object_]


@dataclass(frozen=True)
class Pieces:
    """Ready JSON pieces by code; item is `"item_id":"…"`, category is `,"category":…` or empty."""

    item: Texts
    category: Texts
    region: Texts
    household: Texts
    store: Texts
    first_day: int
    day: Texts
    second: Texts

    def moments(self, at: Ints) -> tuple[list[str], list[str]]:
        """Day and clock texts of seconds since 1970, without quotes."""
        return (
            self.day[at // DAY - self.first_day].tolist(),
            self.second[at % DAY].tolist(),
        )


def pieces(journey: Journey) -> Pieces:
    """The pieces that all rows of a journey are made of."""
    first = np.datetime64("2016-12-30", "D")
    days = np.datetime_as_string(first + np.arange(400)).tolist()
    seconds = [
        f"T{hour:02}:{minute:02}:{second:02}Z"
        for hour in range(24)
        for minute in range(60)
        for second in range(60)
    ]
    return Pieces(
        item=_texts(f'"item_id":"{one}"' for one in journey.product_ids.tolist()),
        category=_texts(
            f',"category":{_quote(category_name(row))}' if row else "" for row in journey.products
        ),
        region=_texts(f'"region":"region-{one:02}"' for one in range(REGION_COUNT + 1)),
        household=_texts(f'"customer_id":"{one}"' for one in journey.household_ids.tolist()),
        store=_texts(f'"store_id":"{one}"' for one in journey.store_ids.tolist()),
        first_day=int(first.astype(np.int64)),
        day=_texts(days),
        second=_texts(seconds),
    )


def category_name(row: dict[str, Any]) -> str:
    """The product's category, or its department where the data has none."""
    return str(row["product_category"] or row["department"])


def title(row: dict[str, Any]) -> str:
    """What a shopper would read, e.g. `Apple Sauce, 50 OZ`; the size stays as the data has it."""
    kind = str(row["product_type"] or row["department"])
    words = re.sub(r"[A-Za-z]+", lambda word: word[0].capitalize(), kind)
    return f"{words}, {row['package_size']}" if row["package_size"] else words


def item_text(row: dict[str, Any], event_id: str) -> str:
    """One `item_upsert`; attributes that the data lacks are left out."""
    names = ("department", "product_type", "package_size", "manufacturer_id")
    event = {
        "event_id": event_id,
        "event_type": "item_upsert",
        "occurred_at": ITEMS_AT,
        "item_id": str(row["product_id"]),
        "title": title(row),
        "category": category_name(row),
        "brand": row["brand"],
        "attributes": {name: row[name] for name in names if row[name] is not None},
    }
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def purchase_texts(lines: Lines, p: Pieces, head: str) -> list[str]:
    """One `purchase` a line; `head` is the event_id up to its last group."""
    days, clocks = p.moments(lines.at)
    return [
        f'{{"event_id":"{head}{row:012x}","event_type":"purchase","occurred_at":"{day}{clock}",'
        f'{item},{region}{category},{household},"basket_id":"{basket}","quantity":{quantity},'
        f'"price_cents":{price},"amount_cents":{amount},"currency":"USD","attributes":{{{store}'
        + (f',"retail_discount_cents":{retail}' if retail else "")
        + (f',"coupon_discount_cents":{coupon}' if coupon else "")
        + "}}"
        for row, day, clock, item, region, category, household, basket, quantity, price, amount,
        store, retail, coupon in zip(
            lines.row.tolist(), days, clocks, p.item[lines.product].tolist(),
            p.region[lines.region].tolist(), p.category[lines.product].tolist(),
            p.household[lines.household].tolist(), lines.basket.tolist(), lines.quantity.tolist(),
            lines.price_cents.tolist(), lines.amount_cents.tolist(),
            p.store[lines.store].tolist(), lines.retail_discount_cents.tolist(),
            lines.coupon_discount_cents.tolist(), strict=True,
        )
    ]  # fmt: skip


def price_texts(changes: PriceChanges, rows: Ints, p: Pieces, head: str) -> list[str]:
    """One `price_change` for each of the rows."""
    days, clocks = p.moments(changes.at[rows])
    product = changes.product[rows]
    return [
        f'{{"event_id":"{head}{row:012x}","event_type":"price_change","occurred_at":"{day}{clock}",'
        f'{item},{region}{category},"price_cents":{price},"currency":"USD"}}'
        for row, day, clock, item, region, category, price in zip(
            rows.tolist(), days, clocks, p.item[product].tolist(),
            p.region[changes.region[rows]].tolist(), p.category[product].tolist(),
            changes.price_cents[rows].tolist(), strict=True,
        )
    ]  # fmt: skip


def click_texts(clicks: Clicks, rows: Ints, p: Pieces, head: str) -> list[str]:
    """One `click` for each of the rows, marked as simulated; equal bytes if sent twice."""
    days, clocks = p.moments(clicks.at[rows])
    product = clicks.product[rows]
    return [
        f'{{"event_id":"{head}{number:012x}","event_type":"click","occurred_at":"{day}{clock}",'
        f'{item},{region}{category},{household},"session_id":"{session}",{SIMULATED}'
        for number, day, clock, item, region, category, household, session in zip(
            clicks.number[rows].tolist(), days, clocks, p.item[product].tolist(),
            p.region[clicks.region[rows]].tolist(), p.category[product].tolist(),
            p.household[clicks.household[rows]].tolist(), clicks.session[rows].tolist(),
            strict=True,
        )
    ]  # fmt: skip


def stock_texts(changes: StockChanges, rows: Ints, p: Pieces, head: str) -> list[str]:
    """One `inventory_change` for each of the rows, marked as simulated."""
    days, clocks = p.moments(changes.at[rows])
    product = changes.product[rows]
    return [
        f'{{"event_id":"{head}{row:012x}","event_type":"inventory_change",'
        f'"occurred_at":"{day}{clock}",{item},{region}{category},"delta_quantity":{delta},'
        f'"attributes":{{"simulated":true,"reason":"{"opening" if opening else "delivery"}"}}}}'
        for row, day, clock, item, region, category, delta, opening in zip(
            rows.tolist(), days, clocks, p.item[product].tolist(),
            p.region[changes.region[rows]].tolist(), p.category[product].tolist(),
            changes.delta_quantity[rows].tolist(), changes.is_opening[rows].tolist(), strict=True,
        )
    ]  # fmt: skip


def promotion_texts(promoted: Promotions, rows: Ints, p: Pieces, head: str) -> list[str]:
    """One `promotion` for each of the rows."""
    days, clocks = p.moments(promoted.at[rows])
    product = promoted.product[rows]
    return [
        f'{{"event_id":"{head}{number:012x}","event_type":"promotion","occurred_at":"{day}{clock}",'
        f'{item},{region}{category},"placement":"{placement}","duration_days":{duration},'
        f'"attributes":{{"stores":{stores},"display_stores":{display},"mailer_stores":{mailer}}}}}'
        for number, day, clock, item, region, category, placement, duration, stores, display,
        mailer in zip(
            promoted.number[rows].tolist(), days, clocks, p.item[product].tolist(),
            p.region[promoted.region[rows]].tolist(), p.category[product].tolist(),
            promoted.placement[rows].tolist(), promoted.duration_days[rows].tolist(),
            promoted.stores[rows].tolist(), promoted.display_stores[rows].tolist(),
            promoted.mailer_stores[rows].tolist(), strict=True,
        )
    ]  # fmt: skip


def _texts(values: Any) -> Texts:
    return np.array(list(values), dtype=object)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
