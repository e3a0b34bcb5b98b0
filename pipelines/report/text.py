"""How the report writes numbers, money and names; pure."""

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime

# ISO 4217 minor units where there are not two.
_MINOR_DIGITS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0)
_MINOR_DIGITS |= dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)


def major(minor_units: float, currency: str) -> float:
    """An amount in minor units as one in the currency itself."""
    return float(minor_units) / float(10 ** _MINOR_DIGITS.get(currency, 2))


def number(value: float) -> str:
    """With thousands separators; one decimal below ten, unless it is whole."""
    if not math.isfinite(value):
        return "n/a"
    whole = float(value).is_integer() or abs(value) >= 10
    return f"{value:,.0f}" if whole else f"{value:,.1f}"


def amount(minor_units: float, currency: str) -> str:
    """Money without its minor units, e.g. `4,592,104`."""
    return f"{major(minor_units, currency):,.0f}"


def price(minor_units: float, currency: str) -> str:
    """A price to the last minor unit, e.g. `1.99 USD`."""
    digits = _MINOR_DIGITS.get(currency, 2)
    return f"{major(minor_units, currency):,.{digits}f} {currency}"


def count(value: float, singular: str, plural: str = "") -> str:
    """A number with its noun, e.g. `1 time`, `2 times`."""
    return f"{number(value)} {singular if value == 1 else plural or singular + 's'}"


def day(at: datetime) -> str:
    """E.g. `3 Jan 2017`."""
    return f"{at.day} {at:%b %Y}"


def readable(name: str | None) -> str:
    """A category as a reader likes it: shouted names are lowered."""
    if not name:
        return "n/a"
    return name.capitalize() if name.isupper() else name


def unique_labels(titles: Iterable[str | None], ids: Iterable[str]) -> list[str]:
    """Titles as labels; the item id follows where two items share one or there is none."""
    pairs = [(title or "", str(item)) for title, item in zip(titles, ids, strict=True)]
    seen = Counter(title for title, _ in pairs)
    return [
        title if title and seen[title] == 1 else f"{title} #{item}".strip() for title, item in pairs
    ]
