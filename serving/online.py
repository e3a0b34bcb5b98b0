"""The online store: hot answers by key, published as whole versions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

JSONValue: TypeAlias = (
    "Mapping[str, JSONValue] | Sequence[JSONValue] | str | int | float | bool | None"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """One value with the version it belongs to; `published_at` is in UTC."""

    value: Any
    version: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class KindInfo:
    """What is current of one kind; `published_at` is in UTC."""

    version: str
    published_at: datetime
    entries: int


class OnlineStore(Protocol):
    """Hot answers by kind and key; a kind is replaced as a whole, atomically."""

    def publish(
        self,
        kind: str,
        entries: Iterable[tuple[str, JSONValue]],
        *,
        version: str,
        published_at: datetime,
    ) -> int:
        """Replace all entries of a kind; of a repeated key the last value stays.

        Readers see the old version until the switch and only the new one after it. Publishing
        a version again replaces it, so a repetition after a crash is harmless.

        Returns:
            The number of keys published.

        Raises:
            StoreError: a key or value cannot be stored, or another publish of the same kind
                has begun meanwhile; the old version stays current.
            DiskFullError: no space is left; the old version stays current.
        """

    def get(self, kind: str, key: str) -> Answer | None:
        """The current value of a key, or None."""

    def get_many(self, kind: str, keys: Iterable[str]) -> dict[str, Answer]:
        """The current values of those keys that exist, all of one version."""

    def kinds(self) -> dict[str, KindInfo]:
        """Every kind that has been published."""

    def close(self) -> None:
        """Release the store; harmless when repeated."""
