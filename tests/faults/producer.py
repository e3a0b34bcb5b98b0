"""A producer with a ledger of its own: `producer.py SERVERS TOPIC LEDGER SEED FIRST AFTER [RATE]`.

What it is about to send stands in the ledger, synced to disk, before it is sent, and where the
broker put it before the next ones follow. Killed and started again it sends what no line says is
acknowledged: those messages may be in the topic twice, as the ledger can tell.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

sys.path.insert(0, str(Path(__file__).parent))
from workload import message

CHUNK = 500
ACKNOWLEDGED_S = 120


def acknowledged(ledger: Path) -> set[int]:
    """Messages that a line says are in the topic; a torn last line says nothing."""
    found = set()
    for line in ledger.read_bytes().splitlines() if ledger.exists() else ():
        try:
            found |= {json.loads(line)["acked"]}
        except (ValueError, KeyError):
            continue
    return found


class Ledger:
    """A file of JSON lines that are on disk when `write` returns."""

    def __init__(self, path: Path) -> None:
        is_torn = path.exists() and not path.read_bytes().endswith(b"\n")
        self._file = path.open("ab")
        if is_torn:
            self._file.write(b"\n")

    def write(self, lines: list[dict[str, Any]]) -> None:
        self._file.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        self._file.flush()
        os.fsync(self._file.fileno())


def _note(acks: list[dict[str, Any]], n: int, error: KafkaError | None, sent: Message) -> None:
    if error is None:
        acks.append({"acked": n, "partition": sent.partition(), "offset": sent.offset()})


def main() -> None:
    servers, topic, path, *numbers = sys.argv[1:]
    seed, first, after, rate = (*map(int, numbers), 0)[:4]
    done, ledger = acknowledged(Path(path)), Ledger(Path(path))
    producer = Producer(
        {
            "bootstrap.servers": servers,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "reconnect.backoff.max.ms": 500,
            "message.timeout.ms": ACKNOWLEDGED_S * 1000,
            "log_level": 0,
        }
    )
    left = [n for n in range(first, after) if n not in done]
    for start in range(0, len(left), CHUNK):
        begun = time.monotonic()
        chunk = [message(seed, n) for n in left[start : start + CHUNK]]
        ledger.write([{"sending": one.n, **one.told()} for one in chunk])
        acks: list[dict[str, Any]] = []

        for one in chunk:
            note = partial(_note, acks, one.n)
            producer.produce(topic, one.payload, one.key, on_delivery=note)
            producer.poll(0)
        if producer.flush(ACKNOWLEDGED_S) or len(acks) < len(chunk):
            sys.exit(f"{len(chunk) - len(acks)} messages were not acknowledged")
        ledger.write(acks)
        if rate:
            time.sleep(max(0.0, len(chunk) / rate - (time.monotonic() - begun)))


if __name__ == "__main__":
    main()
