"""Webhooks against a real HTTP server that takes, refuses, hangs and recovers."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipelines.errors import ConfigError, LockedError
from serving.reactions import delivery as module
from serving.reactions.counts import Counts
from serving.reactions.delivery import Delivery
from serving.reactions.file import Webhook
from serving.reactions.outbox import Letter, Outbox
from serving.reactions.webhook import Endpoint, Outcome

LETTER = Letter("letter-1", "mine", "buyers", '{"item_id":"i1"}')


@dataclass
class Receiver:
    """Answers with `statuses` in turn, the last one from then on; 0 is no answer."""

    url: str = ""
    statuses: list[int] = field(default_factory=lambda: [200])
    headers: dict[str, str] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.calls.append((self.path, headers, body))
            status = found.statuses[min(len(found.calls), len(found.statuses)) - 1]
            if not status:
                found.release.wait(20)
                return
            self.send_response(status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        found.url = f"http://127.0.0.1:{server.server_port}/hook?a=b"
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield found
        found.release.set()
        server.shutdown()
        thread.join()


def hook(url: str, **given: float) -> Webhook:
    quick = {"timeout_s": 0.3, "attempts": 3, "first_wait_s": 0.01, "longest_wait_s": 0.05}
    return Webhook.model_validate({"url": url, **quick, **given})


def endpoint(url: str, **given: float) -> Endpoint:
    return Endpoint("buyers", hook(url, **given), allow_private=True)


def test_a_call_says_which_it_is_and_who_sent_it(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = b"a secret of the buyers"
    text = f"whsec_{base64.b64encode(secret).decode()}"
    monkeypatch.setenv("LAKEHOUSE_WEBHOOK_SECRET_BUYERS", text)
    asked = endpoint(receiver.url)
    assert asked.post(LETTER) == asked.post(LETTER) == Outcome()
    asked.close()
    (path, first, body), (_, second, _) = receiver.calls
    assert (path, json.loads(body)) == ("/hook?a=b", {"item_id": "i1"})
    assert first["host"] == receiver.url.split("/")[2]
    assert first["idempotency-key"] == second["idempotency-key"] == first["webhook-id"]
    signed = f"letter-1.{first['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    assert first["webhook-signature"] == f"v1,{digest}"
    assert abs(int(first["webhook-timestamp"]) - time.time()) < 60


def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    asked = endpoint(receiver.url)
    asked.post(LETTER)
    assert "webhook-signature" not in receiver.calls[0][1]
    asked.close()


def test_a_secret_that_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE_WEBHOOK_SECRET_MY_BUYERS", "whsec_?")
    with pytest.raises(ConfigError, match="LAKEHOUSE_WEBHOOK_SECRET_MY_BUYERS begins"):
        Endpoint("my-buyers", hook("https://example.com/"), allow_private=False)


@pytest.mark.parametrize(
    ("status", "may_retry"),
    [(500, True), (503, True), (429, True), (408, True), (400, False), (404, False), (302, False)],
)
def test_only_what_may_pass_is_tried_again(
    receiver: Receiver, status: int, may_retry: bool
) -> None:
    receiver.statuses = [status]
    receiver.headers = {"location": receiver.url}
    asked = endpoint(receiver.url)
    outcome = asked.post(LETTER)
    assert outcome.may_retry is may_retry and f"status {status}" in outcome.error
    assert len(receiver.calls) == 1
    asked.close()


def test_nobody_listening_and_no_such_host_may_pass() -> None:
    for url in ("http://127.0.0.1:9/", "http://nobody.invalid/"):
        asked = endpoint(url)
        outcome = asked.post(LETTER)
        assert outcome.may_retry and outcome.error and "\n" not in outcome.error
        asked.close()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[fd00::1]", "2130706433"],
)
def test_a_private_address_is_called_only_if_that_is_meant(host: str) -> None:
    asked = Endpoint("buyers", hook(f"http://{host}:9/"), allow_private=False)
    outcome = asked.post(LETTER)
    assert "private; set reactions.allow_private_webhooks" in outcome.error
    assert not outcome.may_retry
    asked.close()


def test_waits_double_up_to_the_longest_and_heed_the_receiver() -> None:
    asked = endpoint("http://127.0.0.1:9/", first_wait_s=1, longest_wait_s=10)
    for attempts, most in ((1, 1.0), (2, 2.0), (4, 8.0), (5, 10.0), (1000, 10.0)):
        waits = [asked.wait_s(attempts, Outcome("busy", True)) for _ in range(200)]
        assert 0 <= min(waits) < most / 4 and 3 * most / 4 < max(waits) <= most
    assert asked.wait_s(1, Outcome("busy", True, 5.0)) == 5.0
    assert asked.wait_s(1, Outcome("busy", True, 1e9)) == 10.0
    asked.close()


def test_when_to_come_again_is_seconds_or_a_date(receiver: Receiver) -> None:
    receiver.statuses = [503]
    in_a_minute = format_datetime(datetime.now(UTC) + timedelta(minutes=1))
    asked = endpoint(receiver.url)
    for given, least, most in (("7", 7, 7), (in_a_minute, 50, 61), ("soon", 0, 0), ("-5", 0, 0)):
        receiver.headers = {"retry-after": given}
        assert least <= asked.post(LETTER).not_before_s <= most
    asked.close()


# --- the outbox delivered -----------------------------------------------------------------


@dataclass
class Table:
    """Stands for the table of dead letters; locked as often as `locked` says."""

    rows: list[Letter] = field(default_factory=list)
    locked: int = 0

    def bury(self, outbox: str, number: int, letters: Sequence[Letter]) -> None:
        if self.locked:
            self.locked -= 1
            raise LockedError("process 1 is writing to gold.dead_letters; wait")
        self.rows += letters


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox.db")
    yield outbox
    outbox.close()


def test_a_receiver_that_hangs_and_fails_and_recovers_gets_the_call(
    receiver: Receiver, outbox: Outbox
) -> None:
    receiver.statuses = [0, 503, 200]
    counts, table = Counts(), Table()
    outbox.add([LETTER])
    with Delivery(outbox, [endpoint(receiver.url)], counts, table.bury):
        until(lambda: outbox.counts() == {"done": 1})
        receiver.release.set()
    assert len(receiver.calls) == 3 and counts.calls == {"made": 1, "retried": 2}
    assert table.rows == []


def test_a_call_that_nobody_takes_ends_in_the_table(
    receiver: Receiver, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BURY_S", 0.01)
    receiver.statuses = [500]
    counts, table = Counts(), Table(locked=1)
    with Delivery(outbox, [endpoint(receiver.url)], counts, table.bury) as delivery:
        outbox.add([LETTER])
        delivery.wake()
        until(lambda: len(table.rows) == 1)
    (dead,) = table.rows
    assert (dead.id, dead.webhook, dead.attempts) == ("letter-1", "buyers", 3)
    assert dead.error == "status 500 Internal Server Error"
    assert counts.calls == {"retried": 2, "given_up": 1}
    assert outbox.counts() == {"buried": 1}


def test_one_webhook_that_hangs_holds_up_no_other(receiver: Receiver, outbox: Outbox) -> None:
    receiver.statuses = [0]
    slow = Endpoint("slow", hook(receiver.url, timeout_s=20), allow_private=True)
    outbox.add([Letter("letter-2", "mine", "slow", "{}"), LETTER])
    refused = endpoint("http://127.0.0.1:9/", attempts=1)
    with Delivery(outbox, [slow, refused], Counts(), Table().bury):
        until(lambda: outbox.counts() == {"dead": 1, "waiting": 1} or "buried" in outbox.counts())
        receiver.release.set()
