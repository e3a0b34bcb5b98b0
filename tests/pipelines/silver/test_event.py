"""Every kind of broken event has its reasons, and no event stops the others."""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest
from given import event
from pyspark.sql import Row, SparkSession

from pipelines.registry import SILVER_EVENTS
from pipelines.silver.event import FIELDS, typed_events

ROUTED_NOWHERE = "bronze.events"
BRONZE = (
    "source STRING, source_partition INT, source_offset BIGINT, payload BINARY,"
    " produced_at TIMESTAMP"
)


class Case(NamedTuple):
    """A payload, and what must become of it; `kept` are columns and their values."""

    payload: bytes | None
    reasons: tuple[str, ...] = ()
    table: str = "silver.purchases"
    kept: Mapping[str, Any] = {}


def purchase(**fields: object) -> bytes:
    return json.dumps({**event("purchase", 1), **fields}).encode()


def plus(raw: str) -> bytes:
    """A purchase with raw JSON text behind its own fields."""
    return purchase()[:-1] + b", " + raw.encode() + b"}"


def without(name: str, event_type: str = "purchase") -> bytes:
    return json.dumps({k: v for k, v in event(event_type, 1).items() if k != name}).encode()


def typed(name: str, raw: str) -> bytes:
    """A purchase whose field `name` has this raw JSON value."""
    return without(name)[:-1] + f', "{name}": {raw}}}'.encode()


def unroutable(payload: bytes | None, reason: str) -> Case:
    return Case(payload, (reason,), ROUTED_NOWHERE)


def ambiguous(payload: bytes, reason: str) -> Case:
    """No valid event, but one can tell for which table it was meant."""
    return Case(payload, (reason,))


def unreadable(name: str, raw: str) -> Case:
    return Case(typed(name, raw), (f"{name}_unreadable", f"{name}_missing"))


def out_of_range(raw: str, *names: str) -> Case:
    return Case(typed(names[0], raw), tuple(f"{name}_out_of_range" for name in names))


def attributes(payload: bytes, value: object, table: str = "silver.purchases") -> Case:
    return Case(payload, table=table, kept={"attributes": value})


DEEP = 2000
CASES: dict[str, Case] = {
    # Not an event at all.
    "tombstone": unroutable(None, "empty"),
    "empty": unroutable(b"", "empty"),
    "not UTF-8": unroutable(b'{"event_type": "\xff\xfe"}', "not_utf8"),
    "truncated": unroutable(purchase()[:40], "malformed_json"),
    "truncated in a string": unroutable(b'{"event_id": "', "malformed_json"),
    "null": unroutable(b"null", "not_a_json_object"),
    "list": unroutable(b"[]", "not_a_json_object"),
    "list of an event": unroutable(b"[" + purchase() + b"]", "not_a_json_object"),
    "number": unroutable(b"42", "not_a_json_object"),
    "string": unroutable(b'"event"', "not_a_json_object"),
    "schema id of a registry": unroutable(
        b"\x00\x00\x00\x00\x07" + purchase(), "not_a_json_object"
    ),
    "byte order mark": unroutable(b"\xef\xbb\xbf" + purchase(), "not_a_json_object"),
    "raw NUL": unroutable(plus('"note": "\x00"'), "malformed_json"),
    "nested too deep": unroutable(plus(f'"x": {"[" * DEEP}{"]" * DEEP}'), "malformed_json"),
    "two events in one": ambiguous(purchase() + purchase(), "malformed_json"),
    "two events with a space": ambiguous(purchase() + b" " + purchase(), "malformed_json"),
    "text behind the event": ambiguous(purchase() + b" and more", "malformed_json"),
    "not a number": ambiguous(typed("price_cents", "NaN"), "malformed_json"),
    "not a number in an unknown field": ambiguous(plus('"x": NaN'), "malformed_json"),
    "known key twice": ambiguous(plus('"item_id": "i2"'), "duplicate_keys"),
    "unknown key twice": ambiguous(plus('"x": 1, "x": 2'), "duplicate_keys"),
    "no fields": unroutable(b"{}", "event_type_missing"),
    "type missing": unroutable(without("event_type"), "event_type_missing"),
    "type null": unroutable(purchase(event_type=None), "event_type_missing"),
    "type unknown": unroutable(purchase(event_type="refund"), "event_type_unknown"),
    "type of another case": unroutable(purchase(event_type="Purchase"), "event_type_unknown"),
    # Numbers.
    "1e309": unreadable("price_cents", "1e309"),
    "10^30": unreadable("price_cents", "1" + "0" * 30),
    "more than a DECIMAL(38)": unreadable("price_cents", "9" * 39),
    "fraction": unreadable("quantity", "1.5"),
    "true": unreadable("quantity", "true"),
    "object": unreadable("quantity", '{"units": 1}'),
    "word": unreadable("quantity", '"two"'),
    "minus zero": out_of_range("-0", "quantity"),
    "negative": out_of_range("-1", "quantity", "amount_cents"),
    "fuel sold as units": out_of_range("1000001", "quantity"),
    "negative price": out_of_range("-1", "price_cents", "amount_cents"),
    "price of ten times the limit": out_of_range("1000000000000", "price_cents", "amount_cents"),
    "negative amount": Case(purchase(amount_cents=-1), ("amount_cents_out_of_range",)),
    "amount by default beyond its limit": Case(
        purchase(quantity=1_000_000, price_cents=100_000_000_000), ("amount_cents_out_of_range",)
    ),
    "amount by default beyond a BIGINT": Case(
        purchase(quantity=9 * 10**18, price_cents=9 * 10**18),
        ("quantity_out_of_range", "price_cents_out_of_range"),
    ),
    "number as text": Case(purchase(quantity="3"), kept={"quantity": 3}),
    "price of nothing": Case(purchase(price_cents=0), kept={"price_cents": 0}),
    # Times.
    "date of zeros": unreadable("occurred_at", '"0000-00-00"'),
    "time without a date": unreadable("occurred_at", '"10:00:00"'),
    "time with a T": unreadable("occurred_at", '"T10:00"'),
    "now": unreadable("occurred_at", '"now"'),
    "epoch in seconds": unreadable("occurred_at", "1488362400"),
    "epoch in milliseconds": unreadable("occurred_at", "1488362400000"),
    "30 February": unreadable("occurred_at", '"2017-02-30T10:00:00Z"'),
    "year 9999": out_of_range('"9999-12-31T23:59:59Z"', "occurred_at"),
    "year 1": out_of_range('"0001-01-01T00:00:00Z"', "occurred_at"),
    "other zone": Case(
        purchase(occurred_at="2017-03-01T10:00:00+02:00"), kept={"seconds": 1488355200}
    ),
    "no zone means UTC": Case(
        purchase(occurred_at="2017-03-01T10:00:00"), kept={"seconds": 1488362400}
    ),
    # Ids and texts.
    "id is no UUID": Case(purchase(event_id="1"), ("event_id_not_uuid",)),
    "id and a newline": Case(purchase(event_id=f"{uuid.UUID(int=1)}\n"), ("event_id_not_uuid",)),
    "item and a newline": Case(purchase(item_id="i1\n"), ("item_id_malformed",)),
    "item with NUL": Case(purchase(item_id="a\0b"), ("item_id_malformed",)),
    "item right to left": Case(purchase(item_id="\u202eabc"), ("item_id_malformed",)),
    "item with a combining mark": Case(purchase(item_id="e\u0301"), ("item_id_malformed",)),
    "item empty": Case(purchase(item_id=""), ("item_id_malformed",)),
    "item of 2 MB": Case(purchase(item_id="x" * 2_000_000), ("item_id_malformed",)),
    "item of 128 characters": Case(purchase(item_id="x" * 128)),
    "item of 129 characters": Case(purchase(item_id="x" * 129), ("item_id_malformed",)),
    "currency of small letters": Case(purchase(currency="usd"), ("currency_unknown",)),
    "currency too long": Case(purchase(currency="USDT"), ("currency_unknown",)),
    "currency and a newline": Case(purchase(currency="USD\n"), ("currency_unknown",)),
    "currency that is none": Case(purchase(currency="ZZZ"), ("currency_unknown",)),
    "currency of former times": Case(purchase(currency="HRK"), kept={"currency": "HRK"}),
    "session too long": Case(
        json.dumps(event("click", 1, session_id="s" * 129)).encode(),
        ("session_id_malformed",),
        "silver.clicks",
    ),
    **{
        f"{name} {what}": Case(purchase(**{name: value}), (f"{name}_malformed",))
        for name in ("region", "category", "customer_id", "basket_id")
        for what, value in {
            "empty": "",
            "too long": "x" * 129,
            "too long in Chinese": "\u4e2d" * 129,
            "with NUL": "a\0b",
            "and a newline": "x\n",
            "with a control character of Latin 1": "a\x85b",
            "right to left by force": "\u202eabc",
            "on two lines": "a\u2028b",
        }.items()
    },
    **{
        f"{name} in another script": Case(purchase(**{name: value}), kept={name: value})
        for name in ("region", "category", "customer_id", "basket_id")
        for value in ("\u05d7\u05dc\u05d1, Milch & e\u0301 " + "\U0001f6d2" * 100,)
    },
    "region missing": Case(without("region"), ("region_missing",)),
    "item needs no region": Case(without("region", "item_upsert"), (), "silver.items"),
    "several reasons": Case(
        purchase(event_id=None, quantity=0, currency=None),
        ("event_id_missing", "quantity_out_of_range", "currency_missing"),
    ),
    # Attributes.
    "no attributes": attributes(purchase(), None),
    "attributes as given": attributes(purchase(attributes={"a": {"b": [1]}}), {"a": {"b": [1]}}),
    "unknown field": attributes(purchase(x="new"), {"x": "new"}),
    "unknown beside given": attributes(purchase(attributes={"a": 1}, x=2), {"a": 1, "x": 2}),
    "unknown wins over given": attributes(purchase(attributes={"x": 1}, x=2), {"x": 2}),
    "known but of another type": attributes(purchase(title="T"), {"title": "T"}),
    "unreadable but of another type": attributes(
        purchase(delta_quantity="much"), {"delta_quantity": "much"}
    ),
    "amount is no field of a click": attributes(
        json.dumps(event("click", 1, amount_cents=5)).encode(), {"amount_cents": 5}, "silver.clicks"
    ),
    "field of another case": attributes(purchase(Item_ID="X"), {"Item_ID": "X"}),
    "odd names": attributes(
        purchase(**{"__proto__": 1, "a.b": 2, "A": 3, "a": 4, "": 5, "_malformed": 6}),
        {"__proto__": 1, "a.b": 2, "A": 3, "a": 4, "": 5, "_malformed": 6},
    ),
    "10,000 fields": attributes(
        purchase(**{f"f{n}": n for n in range(10_000)}), {f"f{n}": n for n in range(10_000)}
    ),
    "2 MB of text": attributes(purchase(x="x" * 2_000_000), {"x": "x" * 2_000_000}),
    "list as attributes": attributes(purchase(attributes=[1]), [1]),
    "list as attributes and unknown": attributes(
        purchase(attributes=[1], x=2), {"attributes": [1], "x": 2}
    ),
    "number as attributes and unknown": attributes(
        purchase(attributes=5, x=2), {"attributes": 5, "x": 2}
    ),
    "null as attributes": attributes(purchase(attributes=None), None),
    "text as attributes": Case(purchase(attributes="words"), ("attributes_unreadable",)),
    "text as attributes and unknown": Case(
        purchase(attributes="words", x=1), ("attributes_unreadable",)
    ),
    "key twice in attributes": Case(
        plus('"attributes": {"a": 1, "a": 2}'), ("attributes_unreadable",)
    ),
    "key twice in an unknown field": Case(
        plus('"x": {"a": 1, "a": 2}'), ("attributes_unreadable",)
    ),
    "half a surrogate pair": Case(plus('"x": "\\ud800"'), ("attributes_unreadable",)),
    # Good events in odd dress.
    "white space around": Case(b" \r\n\t" + purchase() + b" \n"),
    "brace in a text": attributes(purchase(x="a} b} {c"), {"x": "a} b} {c"}),
    "good neighbour": Case(
        purchase(),
        kept={
            "event_id": str(uuid.UUID(int=1)),
            "seconds": 1488362400,
            "item_id": "i1",
            "region": "north",
            "category": "DAIRY",
            "quantity": 2,
            "price_cents": 150,
            "currency": "USD",
        },
    ),
}


def bronze(spark: SparkSession, payloads: Iterable[bytes | None]) -> Any:
    return spark.createDataFrame(
        [("s", 0, place, payload, None) for place, payload in enumerate(payloads)], BRONZE
    )


@pytest.fixture(scope="module")
def judged(spark: SparkSession) -> dict[str, Row]:
    """What became of each case, all of them in one frame."""
    rows = typed_events(bronze(spark, [c.payload for c in CASES.values()]), SILVER_EVENTS)
    seen = rows.selectExpr(
        *(set(rows.columns) - {"attributes", "occurred_at"}),
        "to_json(attributes) AS attributes",
        "unix_seconds(occurred_at) AS seconds",
    )
    names = list(CASES)
    return {names[row["source_offset"]]: row for row in seen.collect()}


@pytest.mark.parametrize("name", CASES)
def test_an_event_is_kept_whole_or_refused_with_its_reasons(
    judged: dict[str, Row], name: str
) -> None:
    case, row = CASES[name], judged[name]
    assert (row["table_name"], tuple(row["reasons"])) == (case.table, case.reasons)
    for column, value in case.kept.items():
        found = row[column]
        is_json = column == "attributes" and found is not None
        assert (json.loads(found) if is_json else found) == value


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_of_every_event_are_kept(judged: dict[str, Row], name: str) -> None:
    found = judged[name]["payload"]
    assert (None if found is None else bytes(found)) == CASES[name].payload


def test_a_valid_event_of_each_type_goes_to_its_table(spark: SparkSession) -> None:
    events = [json.dumps(event(t.event_type, 1)).encode() for t in SILVER_EVENTS]
    rows = typed_events(bronze(spark, events), SILVER_EVENTS).collect()
    found = {row["source_offset"]: (row["table_name"], row["reasons"]) for row in rows}
    assert found == {n: (table.name, []) for n, table in enumerate(SILVER_EVENTS)}
    assert all(set(FIELDS) <= set(row.asDict()) for row in rows)


def test_equal_bytes_have_equal_hashes_and_others_do_not(spark: SparkSession) -> None:
    payloads = [purchase(), purchase(), purchase(quantity=3)]
    first, same, other = typed_events(bronze(spark, payloads), SILVER_EVENTS).collect()
    assert first["payload_hash"] == same["payload_hash"] != other["payload_hash"]
