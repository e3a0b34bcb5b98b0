"""Times as whole microseconds since 1970, UTC: they compare, and JSON keeps them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """A time with a timezone; what is before 1970 is 0."""
    return max(0, (at - _EPOCH) // _MICROSECOND)


def instant(at: int) -> datetime:
    return _EPOCH + at * _MICROSECOND


def iso(at: int) -> str:
    """ISO 8601, in UTC."""
    return instant(at).isoformat().replace("+00:00", "Z")
