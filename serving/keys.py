"""API keys: who may ask for what, and how often.

A key is 256 random bits, shown once; the file holds its SHA-256, which needs no salt for a text
that nobody can guess.
"""

import json
import os
import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from pipelines.errors import ConfigError
from serving.parameters import ID_PATTERN, ID_RULE

SCOPES = ("read", "events", "metrics", "dashboard")
MAX_KEYS = 1000  # each has a cell in `Rates`
RELOAD_S = 1.0
_PREFIX = "lh_"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Key:
    """One key.

    Attributes:
        name: says in logs who asked.
        digest: SHA-256 of the key, in hexadecimal.
        scopes: `read` asks, `events` sends, `metrics` watches, `dashboard` sees all.
        rate: requests per second, in the long run.
        burst: requests at once, after a pause.
        cell: its place in `Rates`, 0 to `MAX_KEYS` - 1.
        expires_at: seconds since 1970; None: never.
        customer: of whom alone it may read what is personal; None: of everyone.
    """

    name: str
    digest: str
    scopes: tuple[str, ...]
    rate: float
    burst: int
    cell: int
    expires_at: float | None = None
    customer: str | None = None


def load_keys(file: Path) -> tuple[Key, ...]:
    """The keys of a file; none if there is no file.

    Raises:
        ConfigError: the file is damaged.
    """
    try:
        stored = json.loads(file.read_bytes())
        return tuple(Key(**{**one, "scopes": tuple(one["scopes"])}) for one in stored)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{file}: the API keys cannot be read ({error}); restore the file, or delete it and"
            " make new ones with `lakehouse keys add`"
        ) from None


def add_key(
    file: Path,
    name: str,
    scopes: Iterable[str],
    *,
    rate: float,
    burst: int,
    expires_at: datetime | None = None,
    customer: str | None = None,
) -> str:
    """Make a key and return it; a name stands for one key, a customer's key only reads.

    Raises:
        ConfigError: the name is taken or malformed, a scope unknown, or there are too many keys.
    """
    keys, wanted = load_keys(file), tuple(dict.fromkeys(scopes))
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r:.80} names no key; use 1 to 64 of A-Z a-z 0-9 . _ -")
    if any(key.name == name for key in keys):
        raise ConfigError(f"there is a key {name} already; revoke it or choose another name")
    if not wanted or not set(wanted) <= set(SCOPES):
        raise ConfigError(f"a key needs scopes out of {', '.join(SCOPES)}; correct --scope")
    if customer is not None and (wanted != ("read",) or not re.fullmatch(ID_PATTERN, customer)):
        raise ConfigError(f"a customer's key has the scope read alone and a customer_id: {ID_RULE}")
    if not 0 < rate <= 1e6 or not 1 <= burst <= 1e6:
        raise ConfigError("rate and burst are above 0 and at most a million; correct them")
    free = sorted(set(range(MAX_KEYS)) - {key.cell for key in keys})
    if not free:
        raise ConfigError(f"there are {MAX_KEYS} keys, and no more; revoke one first")
    text = _PREFIX + secrets.token_urlsafe(32)
    until = None if expires_at is None else expires_at.astimezone(UTC).timestamp()
    key = Key(name, _digest(text), wanted, rate, burst, free[0], until, customer)
    _save(file, (*keys, key))
    return text


def revoke_key(file: Path, name: str) -> None:
    """Delete a key; servers refuse it within `RELOAD_S`.

    Raises:
        ConfigError: there is none of this name.
    """
    keys = load_keys(file)
    left = tuple(key for key in keys if key.name != name)
    if len(left) == len(keys):
        raise ConfigError(f"there is no key {name!r:.80}; `lakehouse keys list` shows them")
    _save(file, left)


def revoke_customers(file: Path, customers: Iterable[str]) -> int:
    """Delete the keys of customers; returns how many there were."""
    keys, gone = load_keys(file), set(customers)
    left = tuple(key for key in keys if key.customer not in gone)
    if len(left) < len(keys):
        _save(file, left)
    return len(keys) - len(left)


class KeyRing:
    """The keys of a file as they are now, looked at once a second."""

    def __init__(self, file: Path) -> None:
        self._file, self._looked, self._stamp = file, 0.0, (0, 0)
        self._by_digest = {key.digest: key for key in load_keys(file)}

    def __len__(self) -> int:
        return len(self._by_digest)

    def find(self, text: str) -> Key | None:
        """The key with this text, if it is one and has not expired."""
        self._reload()
        key = self._by_digest.get(_digest(text))
        if key is None or (key.expires_at is not None and key.expires_at <= time.time()):
            return None
        return key

    def _reload(self) -> None:
        now = time.monotonic()
        if now - self._looked < RELOAD_S:
            return
        self._looked = now
        try:
            status = self._file.stat()
            stamp = (status.st_ino, status.st_mtime_ns)
        except FileNotFoundError:
            stamp = (0, 0)
        if stamp != self._stamp:
            self._by_digest = {key.digest: key for key in load_keys(self._file)}
            self._stamp = stamp


def _save(file: Path, keys: Iterable[Key]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}.tmp")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as text:
        json.dump([asdict(key) for key in keys], text, indent=1)
    draft.replace(file)


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogateescape")).hexdigest()
