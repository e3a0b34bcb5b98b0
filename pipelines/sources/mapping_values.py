"""One value of a row to one field of an event; what does not fit stays as it is.

A text that is no number or no time is passed on unchanged, so that the checks of the lakehouse
put the event into quarantine with the reason. Nothing is rounded unless the mapping says so.
"""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_FORMATS = {"epoch_s": 1_000_000, "epoch_ms": 1_000}  # microseconds in one unit
_LARGEST = Decimal(10) ** 18  # beyond it a BIGINT overflows


def number(value: Any, decimal: str, thousands: str) -> Decimal | None:
    """The exact number, or None; a binary float is taken at its shortest decimal form."""
    if isinstance(value, bool) or value is None:
        return None
    text = value.strip() if isinstance(value, str) else str(value)
    if isinstance(value, str):
        if "_" in text:  # Decimal takes 1_000, no export means it
            return None
        if thousands:
            text = text.replace(thousands, "")
        if decimal != ".":
            if "." in text:
                return None
            text = text.replace(decimal, ".")
    try:
        result = Decimal(text)
    except InvalidOperation:
        return None
    return result if result.is_finite() and abs(result) < _LARGEST else None


def whole(value: Any, decimal: str, thousands: str, *, negate: bool) -> Any:
    """A whole number, its sign turned if wanted; anything else as it is."""
    parsed = number(value, decimal, thousands)
    if parsed is None or parsed != parsed.to_integral_value():
        return value
    return int(-parsed if negate else parsed)


def money(value: Any, decimal: str, thousands: str, *, digits: int, half_up: bool) -> Any:
    """An amount as integer minor units: 2.55 is 255 with 2 digits.

    Args:
        digits: decimal places between the column's unit and the minor unit; 0 for cents.
        half_up: round what is finer than a minor unit; otherwise it stays as it is.
    """
    parsed = number(value, decimal, thousands)
    if parsed is None:
        return value
    minor = parsed.scaleb(digits)
    rounded = minor.to_integral_value(rounding=ROUND_HALF_UP)
    return int(rounded) if half_up or minor == rounded else value


def moment(value: Any, form: str, zone: ZoneInfo) -> Any:
    """A time as ISO 8601 in UTC with Z; anything else as it is.

    Args:
        form: `iso`, `epoch_s`, `epoch_ms` or a strptime pattern.
        zone: of times without one. An hour that occurs twice is taken as the first.
    """
    try:
        if isinstance(value, datetime):
            local = value
        elif isinstance(value, date):
            local = datetime(value.year, value.month, value.day)
        elif form in EPOCH_FORMATS:
            parsed = number(value, ".", "")
            if parsed is None:
                return value
            local = EPOCH + timedelta(microseconds=int(parsed * EPOCH_FORMATS[form]))
        elif form == "iso":
            local = datetime.fromisoformat(str(value).strip())
        else:
            local = datetime.strptime(str(value).strip(), form)
        aware = local if local.tzinfo else local.replace(tzinfo=zone)
        return aware.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError):
        return value


def plain_json(value: Any) -> Any:
    """What JSON cannot hold as it is: exact numbers, times, bytes."""
    if isinstance(value, Decimal):
        if value == value.to_integral_value() and abs(value) < _LARGEST:
            return int(value)
        near = float(value)
        return near if Decimal(repr(near)) == value else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
