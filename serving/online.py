"""The online store: hot answers by key, published as whole versions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeAlias

JSONValue: TypeAlias = (
    "Mapping[str, JSONValue] | Sequence[JSONValue] | str | int | float | bool | None"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One value with the version it belongs to.

    `published_at` is when it was published or changed last, in UTC; `stale` says that it comes
    from the last good copy of a store that cannot be read just now.
    """

    value: Any
    version: str
    published_at: datetime
    stale: bool = False


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What is current of one kind: times are in UTC, `entries` counts what was published."""

    version: str
    published_at: datetime
    entries: int
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One key's new value; a `value` of None deletes it.

    `at` is when it changed, with a timezone; it is answered for `ttl` after that, None: for good.
    """

    kind: str
    key: str
    value: JSONValue
    at: datetime
    ttl: timedelta | None = None


class OnlineStore(Protocol):
    """Hot answers by kind and key; a kind is replaced as a whole, atomically.

    What has outlived its time to live is not answered, whether or not it is still stored.
    """

    def publish(
        self,
        kind: str,
        entries: Iterable[tuple[str, JSONValue]],
        *,
        version: str,
        published_at: datetime,
        ttl: timedelta | None = None,
    ) -> int:
        """Replace all entries of a kind; of a repeated key the last value stays.

        Readers see the old version until the switch and only the new one after it. Publishing
        a version again replaces it, so a repetition after a crash is harmless. What is not among
        the entries is gone, updates too.

        Args:
            kind: the name of what is replaced.
            entries: keys and values.
            version: names what the entries were made of.
            published_at: when, with a timezone.
            ttl: the kind is answered for so long after `published_at`; None: for good.

        Returns:
            The number of keys published.

        Raises:
            StoreError: a key or value cannot be stored, or another publish of the same kind
                has begun meanwhile; the old version stays current.
            DiskFullError: no space is left; the old version stays current.
        """

    def update(
        self,
        kind: str,
        changes: Mapping[str, JSONValue],
        *,
        at: datetime,
        ttl: timedelta | None = None,
    ) -> int:
        """Change keys of a kind at once, until the next publish; a value of None deletes its key.

        A key that was changed later than `at` keeps what it has, so changes may come twice and
        in any order. A kind that was never published begins with version `live`.

        Args:
            kind: the name of what is changed.
            changes: keys and their new values.
            at: when they changed, with a timezone.
            ttl: the values are answered for so long after `at`; None: for good.

        Returns:
            The number of keys changed.

        Raises:
            StoreError: a key or value cannot be stored; nothing has changed.
            DiskFullError: no space is left; nothing has changed.
        """

    def apply(self, changes: Iterable[Change]) -> int:
        """Make changes of any kinds, each as `update` would, those of a kind at once.

        Returns:
            The number of keys changed.

        Raises:
            StoreError: a key or value cannot be stored; nothing has changed.
            DiskFullError: no space is left.
        """

    def get(self, kind: str, key: str) -> Answer | None:
        """The current value of a key, or None."""

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """The current values of those keys that exist, all of one version."""

    def get_each(self, wanted: Sequence[tuple[str, str]]) -> list[Answer | None]:
        """The current values of keys of several kinds, (kind, key) each, in their order."""

    def kinds(self) -> dict[str, KindInfo]:
        """Every kind that has been published and has not expired."""

    @property
    def is_degraded(self) -> bool:
        """Answers come from the last good copy just now."""

    def close(self) -> None:
        """Release the store; harmless when repeated."""
