"""Who was erased: the list of keyed hashes, its key, and the door at which it is looked at."""

import hmac
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyspark.sql import Column, SparkSession

from pipelines.bronze.erasures import ERASURES
from pipelines.errors import ConfigError, LakeError
from pipelines.io.read import exists, read, schema_of
from pipelines.io.write import write
from pipelines.scrub import without_erased
from pipelines.settings import Settings

VARIABLE = "LAKEHOUSE_ERASURE_KEY"
_LEAST_CHARACTERS = 16


@dataclass(frozen=True)
class ErasureKey:
    """The secret that the hashes are made with."""

    secret: bytes

    @property
    def id(self) -> str:
        """By which it is told from another one; says nothing of it."""
        return self.digest("which key")[:16]

    def digest(self, text: str) -> str:
        """HMAC-SHA256, hexadecimal."""
        return hmac.digest(self.secret, text.encode(), "sha256").hex()


def erasure_key(settings: Settings, *, create: bool = False) -> ErasureKey:
    """The key: of the environment, else of a file in the state folder that only its owner reads.

    Args:
        create: make the file if there is neither.

    Raises:
        ConfigError: there is none, or the one in the environment is too short.
    """
    given = os.environ.get(VARIABLE, "")
    if given:
        if len(given) < _LEAST_CHARACTERS:
            raise ConfigError(f"{VARIABLE} is too short; give it 16 characters or more")
        return ErasureKey(given.encode())
    file = settings.state / "erasure.key"
    if not file.exists() and create:
        _make(file)
    try:
        return ErasureKey(file.read_bytes())
    except OSError:
        raise ConfigError(
            f"the key of the erasures is gone: without it erased people would come back; put "
            f"{file} back from a backup, or set {VARIABLE}"
        ) from None


def _make(file: Path) -> None:
    """A new key, whole or not at all."""
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(secrets.token_hex(32).encode())
        opened.flush()
        os.fsync(opened.fileno())
    draft.replace(file)


def door(spark: SparkSession, settings: Settings) -> Callable[[Column], Column]:
    """What the bytes of events pass on their way in: those of erased people lose the person.

    While nobody is erased nothing is done to them, and no job is run. The list is read once, for
    the lifetime of a stream: nobody is erased while one runs.

    Raises:
        ConfigError: the key of the list is gone.
        LakeError: the list was made with another key.
    """
    if not exists(spark, settings, ERASURES.name):
        return lambda payload: payload
    listed = read(spark, settings, ERASURES.name).select("digest", "key_id").collect()
    key = erasure_key(settings)
    require_key(key, {row["key_id"] for row in listed})
    digests = tuple(sorted(row["digest"] for row in listed))
    return lambda payload: without_erased(payload, key.secret, digests)


def require_key(key: ErasureKey, ids: Iterable[str]) -> None:
    """Refuse a key by which the list would know nobody.

    Raises:
        LakeError: the list was made with another one.
    """
    if set(ids) - {key.id}:
        raise LakeError(
            f"{ERASURES.name} was made with another key, by which erased people would come back; "
            f"put that key back ({VARIABLE}, or erasure.key in the state folder)"
        )


def begin(spark: SparkSession, settings: Settings, key: ErasureKey, people: Iterable[str]) -> None:
    """Shut the door for these people.

    Raises:
        LakeError: the list was made with another key.
    """
    listed = read(spark, settings, ERASURES.name).select("key_id").distinct().collect()
    require_key(key, (row["key_id"] for row in listed))
    _note(spark, settings, key, people, None, None)


def finish(
    spark: SparkSession,
    settings: Settings,
    key: ErasureKey,
    people: Iterable[str],
    found: Mapping[str, int],
) -> None:
    """Note that nothing is left of them."""
    _note(spark, settings, key, people, datetime.now(UTC), dict(found))


def _note(
    spark: SparkSession,
    settings: Settings,
    key: ErasureKey,
    people: Iterable[str],
    done_at: datetime | None,
    found: dict[str, int] | None,
) -> None:
    now = datetime.now(UTC)
    rows = [(key.digest(who), key.id, now, done_at, found) for who in people]
    write(spark.createDataFrame(rows, schema_of(ERASURES)).coalesce(1), settings, ERASURES)
