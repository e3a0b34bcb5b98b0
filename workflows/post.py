"""Messages to HTTP endpoints, in the order they came, behind the back of whoever sends them."""

import json
import threading
import urllib.request
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

TIMEOUT_SECONDS = 10

_waiting: SimpleQueue[tuple[str, bytes] | None] = SimpleQueue()
_sender: threading.Thread | None = None


def post_later(url: str, message: Mapping[str, Any]) -> None:
    """POST a message as JSON; one that does not arrive is given up."""
    global _sender
    if _sender is None or not _sender.is_alive():
        _sender = threading.Thread(target=_send, daemon=True)
        _sender.start()
    _waiting.put((url, json.dumps(message).encode()))


def flush() -> None:
    """Wait until everything was sent, or could not be."""
    global _sender
    if _sender is not None:
        _waiting.put(None)
        _sender.join()
        _sender = None


def _send() -> None:
    while (message := _waiting.get()) is not None:
        url, body = message
        headers = {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(url, body, headers)  # noqa: S310  checked by callers
            urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS).close()  # noqa: S310
        except (OSError, ValueError):
            continue
