"""What a cell of a notebook shows, in its order: what it prints and what it displays."""

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any

from workflows.page import snapshot

HIDDEN = "[REDACTED]"


class Outputs:
    """Texts and snapshots of values; secrets are hidden in the texts."""

    def __init__(self, also: Callable[..., Any] | None, secrets: Iterable[str]) -> None:
        self._also = also
        self._secrets = tuple(secrets)
        self._shown: list[Any] = []

    def clear(self) -> None:
        """Forget what was shown."""
        self._shown.clear()

    def taken(self) -> tuple[Any, ...]:
        """What was shown."""
        return tuple(self.hidden(v) if isinstance(v, str) else v for v in self._shown)

    def hidden(self, text: str) -> str:
        """A text without the secrets in it."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def display(self, value: Any, *args: Any, **kwargs: Any) -> None:
        """Show a value as it is now."""
        self._shown.append(snapshot(value))
        if self._also is not None:
            self._also(value, *args, **kwargs)

    def printed(self) -> io.TextIOBase:
        """A standard output that is shown, and goes to the log as well."""
        return _Printed(self)

    def add_text(self, text: str) -> None:
        """Show a text, joined to the one before."""
        if self._shown and isinstance(self._shown[-1], str):
            self._shown[-1] += text
        else:
            self._shown.append(text)


class _Printed(io.TextIOBase):
    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._log = sys.stdout

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._outputs.add_text(text)
        self._log.write(self._outputs.hidden(text))
        return len(text)
