"""Every kind of broken event in a stream of good ones: each row of bronze has its fate."""

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka import Producer
from given import event
from pyspark.sql import SparkSession

from pipelines.bronze.events import EVENTS
from pipelines.io.ingest import ingest
from pipelines.io.read import read
from pipelines.registry import QUARANTINES, SILVER_EVENTS
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.silver.late_events import LATE_EVENTS
from pipelines.sources.topic import ensure_topic
from pipelines.table import ORIGIN

TakeIn = Callable[[Settings, Sequence[object]], None]
NOWHERE, PURCHASES = "bronze.events_quarantine", "silver.purchases_quarantine"
CLICKS, STOCK = "silver.clicks_quarantine", "silver.inventory_changes_quarantine"
LONG = 2_000_000


class Fate(NamedTuple):
    """The table in which an event must stand, and the codes it must carry there."""

    table: str
    reasons: tuple[str, ...] = ()


def of(kind: str, number: int, **fields: object) -> bytes:
    return json.dumps(event(kind, number, item_id=f"i{number}", **fields)).encode()


def purchase(number: int, **fields: object) -> bytes:
    return json.dumps(event("purchase", number, **fields)).encode()


def raw(number: int, name: str, text: str) -> bytes:
    """A purchase whose field has a value that is written as `text`."""
    return purchase(number, **{name: "@"}).replace(b'"@"', text.encode())


def unreadable(name: str) -> Fate:
    return Fate(PURCHASES, (f"{name}_unreadable", f"{name}_missing"))


def broken() -> dict[bytes, Fate]:
    """One of each kind, and what becomes of it."""
    no_object = Fate(NOWHERE, ("not_a_json_object",))
    not_utf8 = Fate(NOWHERE, ("not_utf8",))
    malformed = Fate(NOWHERE, ("malformed_json",))
    bad_item = Fate(PURCHASES, ("item_id_malformed",))
    bad_time = Fate(PURCHASES, ("occurred_at_out_of_range",))
    return {
        b"": Fate(NOWHERE, ("empty",)),
        raw(1001, "item_id", '"@"').replace(b"@", b"\xff\xfe"): Fate(PURCHASES, ("not_utf8",)),
        purchase(1002)[:100]: malformed,
        b"null": no_object,
        b"[]": no_object,
        b"42": no_object,
        b'"text"': no_object,
        b"\x00\x00\x00\x00\x07" + purchase(1003): no_object,  # schema registry
        b"Obj\x01" + purchase(1004): no_object,  # Avro
        b"PAR1" + purchase(1005): no_object,
        b"\x1f\x8b\x08\x00" + purchase(1034): not_utf8,  # gzip
        purchase(1035).decode().encode("utf-16"): not_utf8,
        purchase(1036).decode().encode("utf-16-le"): malformed,
        b"\xef\xbb\xbf" + purchase(1037): no_object,  # byte order mark
        purchase(1006)[:-1] + b', "item_id": "i2"}': Fate(PURCHASES, ("duplicate_keys",)),
        raw(1007, "price_cents", "1e309"): unreadable("price_cents"),
        raw(1008, "price_cents", "NaN"): Fate(PURCHASES, ("malformed_json",)),
        raw(1038, "price_cents", "-Infinity"): Fate(PURCHASES, ("malformed_json",)),
        raw(1009, "price_cents", "1" + "0" * 30): unreadable("price_cents"),
        raw(1010, "price_cents", "9" * 39): unreadable("price_cents"),
        raw(1039, "quantity", "9" * 39): unreadable("quantity"),
        raw(1011, "quantity", "-0"): Fate(PURCHASES, ("quantity_out_of_range",)),
        raw(1012, "quantity", "-3"): Fate(
            PURCHASES, ("quantity_out_of_range", "amount_cents_out_of_range")
        ),
        purchase(1013, currency="usd"): Fate(PURCHASES, ("currency_unknown",)),
        purchase(1014, currency="\u20ac"): Fate(PURCHASES, ("currency_unknown",)),
        purchase(1030, currency="ZZZ"): Fate(PURCHASES, ("currency_unknown",)),
        purchase(1015, occurred_at="0000-00-00"): unreadable("occurred_at"),
        purchase(1016, occurred_at="9999-12-31T23:59:59Z"): bad_time,
        purchase(1017, occurred_at=1_488_362_400): unreadable("occurred_at"),
        purchase(1018, occurred_at=1_488_362_400_000): unreadable("occurred_at"),
        purchase(1019, occurred_at="1488362400"): unreadable("occurred_at"),
        purchase(1020, item_id="x" * LONG): bad_item,
        purchase(1021, item_id="a\x00b"): bad_item,
        purchase(1022, item_id="\u202eabc"): bad_item,
        purchase(1023, item_id="e\u0301"): bad_item,
        purchase(1031, region="r" * LONG): Fate(PURCHASES, ("region_malformed",)),
        purchase(1032, customer_id="c" * 600): Fate(PURCHASES, ("customer_id_malformed",)),
        purchase(1033, region="a\x00b", category="\u202eabc", basket_id="line\n"): Fate(
            PURCHASES, ("region_malformed", "category_malformed", "basket_id_malformed")
        ),
        raw(1024, "item_id", '"a\x00b"'): malformed,
        raw(1025, "attributes", "[" * 1000 + "]" * 1000): Fate(PURCHASES, ("malformed_json",)),
        of("refund", 1026, basket_id="no such basket"): Fate(NOWHERE, ("event_type_unknown",)),
        of("__proto__", 1027): Fate(NOWHERE, ("event_type_unknown",)),
        b'{"__proto__": {"event_type": "click"}}': Fate(NOWHERE, ("event_type_missing",)),
        b"{}": Fate(NOWHERE, ("event_type_missing",)),
        b'{"event_type": null}': Fate(NOWHERE, ("event_type_missing",)),
        b'{"event_type": ["click"]}': Fate(NOWHERE, ("event_type_unknown",)),
        b'{"event_type": "click", "price_cents": NaN}': Fate(CLICKS, ("malformed_json",)),
        b'{"event_type": "click", "n": ' + b"[" * 2000 + b"]" * 2000 + b"}": malformed,
        b'{"event_type": "click"': malformed,
        b'{"event_id": "\xff"}': not_utf8,
        b"\xff\xfe\x00": not_utf8,
        b"[" * 5000: no_object,
        b" ": no_object,
        of("click", 1040, session_id="s" * 300_000): Fate(CLICKS, ("session_id_malformed",)),
        of("click", 1041, region=None): Fate(CLICKS, ("region_missing",)),
        of("click", 1042, n="@").replace(b'"@"', b"9" * 5000): malformed,
        of("inventory_change", 1043, delta_quantity="many"): Fate(
            STOCK, ("delta_quantity_unreadable", "delta_quantity_missing")
        ),
    }


def odd_but_good() -> dict[bytes, Fate]:
    """What looks broken and is whole: it stands in its table, with all that it brought."""
    fields = {f"field_{n}": n for n in range(10_000)}
    keys = {"__proto__": 1, "a.b": 2, "A": 3, "a": 4, "": 5, "\u202e": "e\u0301", "n": "a\x00b"}
    payloads = [
        of("click", 2001, **fields),
        of("click", 2002, **keys),
        of("click", 2003, attributes={**keys, "minus_zero": -0.0}),
        of("click", 2004, note="x" * LONG),
        of("click", 2005, customer_id=None, category=None),
        b" \t" + of("click", 2006) + b" ",
    ]
    return dict.fromkeys(payloads, Fate("silver.clicks"))


def mixture(seed: int) -> list[tuple[bytes, Fate]]:
    """Good, odd and broken events, events sent again and late ones, in a random order."""
    good = {
        of(table.event_type, number * 10 + place): Fate(table.name)
        for number, table in enumerate(SILVER_EVENTS, start=1)
        for place in range(8)
    }
    late = of("click", 3001, occurred_at="2016-12-01T10:00:00Z")
    mixed = [*good.items(), *odd_but_good().items(), *broken().items()]
    mixed.append((late, Fate(LATE_EVENTS.name, ("late",))))
    chance = random.Random(seed)
    chance.shuffle(mixed)
    for payload, fate in chance.sample(list(good.items()), 6):
        again = Fate(DROPPED_EVENTS.name, ("duplicate",))
        other = Fate(f"{fate.table}_quarantine", ("event_id_reused",))
        behind = chance.randrange(mixed.index((payload, fate)) + 1, len(mixed) + 1)
        is_same = chance.random() < 0.5
        mixed.insert(behind, (payload, again) if is_same else (payload + b" ", other))
    return mixed


def fates(spark: SparkSession, settings: Settings) -> Counter[tuple[bytes | None, Fate]]:
    """Where each row of bronze stands and why; where its bytes are kept, they are its own."""
    payloads = {
        tuple(row[name] for name in ORIGIN): row["payload"]
        for row in read(spark, settings, EVENTS.name).collect()
    }
    codes = dict.fromkeys(SILVER_EVENTS, "CAST(array() AS ARRAY<STRING>) AS reasons")
    codes |= {DROPPED_EVENTS: "array(reason) AS reasons"}
    codes |= dict.fromkeys((*QUARANTINES, LATE_EVENTS), "reasons")
    found: Counter[tuple[bytes | None, Fate]] = Counter()
    for table, reasons in codes.items():
        keeps = "payload" in table.columns
        columns = [*ORIGIN, reasons, *(["payload"] if keeps else [])]
        for row in read(spark, settings, table.name).selectExpr(*columns).collect():
            payload = payloads[tuple(row[name] for name in ORIGIN)]
            assert not keeps or row["payload"] == payload
            found[_bytes(payload), Fate(table.name, tuple(row["reasons"]))] += 1
    return found


def _bytes(payload: bytearray | None) -> bytes | None:
    return None if payload is None else bytes(payload)


def differences(found: Counter[Any], expected: Counter[Any]) -> list[str]:
    """What is only on one side, each in a line that can be read."""
    sides = {"unexpected": found - expected, "absent": expected - found}
    return [
        f"{side}: {fate.table} {fate.reasons} {payload and payload[:100]!r}"
        for side, rows in sides.items()
        for payload, fate in rows
    ]


def test_each_event_of_a_mixed_file_and_a_mixed_topic_stands_where_it_must(
    spark: SparkSession, kafka_lake: Settings, take_in: TakeIn
) -> None:
    files = kafka_lake.source.model_copy(update={"kind": "files"})
    lake = kafka_lake.model_copy(update={"source": files})
    (Path(lake.root) / "landing").mkdir()
    good = Fate("silver.clicks")
    before: list[tuple[bytes | None, Fate]] = [(of("click", n), good) for n in (9001, 9002)]
    take_in(lake, [payload for payload, _ in before])  # so that the stream has a time
    of_file = mixture(seed=4)
    take_in(lake, [payload for payload, _ in of_file])
    of_topic: list[tuple[bytes | None, Fate]] = [
        (None, Fate(NOWHERE, ("empty",))),
        *((otherwise(payload), fate) for payload, fate in mixture(seed=7)),
        (None, Fate(NOWHERE, ("empty",))),
        (b"\n" + of("click", 9003) + b"\r\n", good),
        (b"{\n", Fate(NOWHERE, ("malformed_json",))),
    ]
    send(kafka_lake, [payload for payload, _ in of_topic])
    ingest(spark, kafka_lake, lambda stage, count: None)
    expected = Counter([*before, *of_file, *of_topic])
    assert differences(fates(spark, lake), expected) == []


def otherwise(payload: bytes) -> bytes:
    """The same event with another id, about another item."""
    return payload.replace(b"00000000-", b"00000001-").replace(b'"item_id": "i', b'"item_id": "j')


def send(settings: Settings, payloads: Sequence[bytes | None]) -> None:
    kafka = settings.source.kafka
    ensure_topic(kafka.bootstrap_servers, kafka.topic, 1)
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "message.max.bytes": 10 * LONG,
            "compression.type": "gzip",  # the broker's limit is on what is compressed
        }
    )
    for payload in payloads:
        producer.produce(kafka.topic, payload)
    assert producer.flush(20) == 0
