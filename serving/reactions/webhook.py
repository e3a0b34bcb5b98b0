"""One webhook: posts a message, and says whether to try again.

The headers are those of Standard Webhooks (https://www.standardwebhooks.com): `webhook-id`, the
same for every attempt, `webhook-timestamp`, and where there is a secret `webhook-signature`.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import os
import random
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit, urlunsplit

import httpx

from pipelines.errors import ConfigError
from serving.reactions.file import Webhook
from serving.reactions.outbox import Letter

RETRIED = frozenset({408, 425, 429})  # and all of 500 and above
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` is empty where the call was taken; else whether it may be tried again, and when."""

    error: str = ""
    may_retry: bool = False
    not_before_s: float = 0.0


class Endpoint:
    """Posts to one webhook; used by one thread.

    Args:
        name: as in conf/reactions/shop.yml.
        hook: its settings.
        allow_private: addresses that are not of the public Internet may be called.

    Raises:
        ConfigError: the secret in the environment is not what it must be.
    """

    def __init__(self, name: str, hook: Webhook, *, allow_private: bool) -> None:
        self.name, self.hook, self._allow_private = name, hook, allow_private
        self._url = urlsplit(hook.url)
        self._secret = _secret(name)
        # Redirects are not followed and no proxy is asked: both would go where nobody looked.
        self._client = httpx.Client(timeout=hook.timeout_s, trust_env=False)

    def post(self, letter: Letter) -> Outcome:
        """Post a message once."""
        try:
            address = self._address()
            status, retry_after = self._send(address, letter)
        except (OSError, httpx.HTTPError, UnicodeError) as error:
            return Outcome(_plain(error), may_retry=True)
        except NotAllowedError as error:
            return Outcome(str(error))
        if 200 <= status < 300:
            return Outcome()
        may_retry = status in RETRIED or status >= 500
        return Outcome(f"status {status} {_phrase(status)}".strip(), may_retry, retry_after)

    def wait_s(self, attempts: int, outcome: Outcome) -> float:
        """Seconds until the next attempt: exponential backoff with full jitter.

        https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/

        Args:
            attempts: made so far, this one too.
        """
        longest = self.hook.longest_wait_s
        most = min(longest, self.hook.first_wait_s * 2 ** min(attempts - 1, 30))
        jittered = random.uniform(0, most)  # noqa: S311 # no secret
        return max(jittered, min(outcome.not_before_s, longest))

    def close(self) -> None:
        self._client.close()

    def _address(self) -> str:
        """An address of the host that may be called; the call goes to it, not to the name again."""
        host, port = self._url.hostname or "", self._url.port or _DEFAULT_PORTS[self._url.scheme]
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [str(entry[4][0]) for entry in found]
        for address in addresses:
            if not self._allow_private and not ipaddress.ip_address(address).is_global:
                raise NotAllowedError(
                    f"{host} is at {address}, which is private; set"
                    " reactions.allow_private_webhooks if it is meant"
                )
        return addresses[0]

    def _send(self, address: str, letter: Letter) -> tuple[int, float]:
        url, body = self._url, letter.body.encode()
        place = f"[{address}]" if ":" in address else address
        place += f":{url.port}" if url.port else ""
        target = urlunsplit((url.scheme, place, url.path or "/", url.query, ""))
        request = self._client.build_request(
            "POST",
            target,
            content=body,
            headers={"host": url.netloc, **self._headers(letter.id, body)},
            extensions={"sni_hostname": url.hostname},
        )
        response = self._client.send(request, stream=True)  # what it answers is not read
        response.close()
        return response.status_code, _seconds(response.headers.get("retry-after", ""))

    def _headers(self, letter_id: str, body: bytes) -> dict[str, str]:
        at = str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "idempotency-key": letter_id,
            "webhook-id": letter_id,
            "webhook-timestamp": at,
        }
        if self._secret:
            signed = f"{letter_id}.{at}.".encode() + body
            digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers


class NotAllowedError(Exception):
    """The address may not be called."""


def variable(name: str) -> str:
    """The environment variable that holds the secret of a webhook."""
    return f"LAKEHOUSE_WEBHOOK_SECRET_{name.upper().replace('-', '_')}"


def _secret(name: str) -> bytes:
    given = os.environ.get(variable(name), "")
    if not given.startswith("whsec_"):
        return given.encode()
    try:
        return base64.b64decode(given.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ConfigError(f"{variable(name)} begins with whsec_ and is not base64") from None


def _seconds(text: str) -> float:
    """What `Retry-After` says: seconds or a date; 0 if nothing."""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


def _plain(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
