"""The quick way says the same as the careful one, whatever an event looks like."""

import json
from collections.abc import Iterable
from typing import Any

from given import event
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from pipelines.registry import SILVER_EVENTS
from pipelines.silver.event import FIELDS, typed_events
from pipelines.silver.plain_event import plain_events

BRONZE = (
    "source STRING, source_partition INT, source_offset BIGINT, payload BINARY,"
    " produced_at TIMESTAMP"
)
TYPES = [table.event_type for table in SILVER_EVENTS]
Field = tuple[str, str]  # a key and a value, both as raw JSON text

NUMBERS = [
    "0", "-0", "1", "3", "007", "+1", "-1", "1.0", "1.5", "-0.0", "1e2", "1E+2", "1e-2", "1e309",
    "1e400", ".5", "5.", "0x10", "1_000", "NaN", "Infinity", "-Infinity", "1000001",
    "100000000000", "100000000001", "9223372036854775807", "9223372036854775808",
    "1" + "0" * 30, "9" * 39, "0.1" + "0" * 40, "9" * 400,
]  # fmt: skip
TEXTS = [
    "", " ", "x", "3", " 3 ", "3\n", "\u0663", "1e2", "true", "null", "{}", "{", "}", "[", "]",
    "a]b", "} x", "\u202eabc", "e\u0301", "\ufeff", "\u2028", "\u0085", "\x7f", "\U0001f6d2",
    "x" * 128, "x" * 129, "USD", "USD\n", "usd", "i 1", '"', "\\", "\\u0041", "/", "\u0000",
    "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000000A\n",
    *TYPES,
]  # fmt: skip
TIMES = [
    "2017-03-01", "2017-3-1", "2017-03", "2017", "2017-03-01T10", "2017-03-01T10:00",
    "2017-03-01 10:00:00", "2017-03-01T10:00:00.123456789Z", "2017-03-01T10:00:00+02:00",
    "2017-03-01T10:00:00+0200", "2017-03-01T10:00:00 Europe/Berlin", "2017-03-01T10:00:00UTC+1",
    "2017-03-01T24:00:00Z", "2017-03-01T23:59:60Z", "2017-02-30T10:00:00Z", "0000-00-00",
    "9999-12-31T23:59:59Z", "12017-03-01T10:00:00Z", "-2017-03-01T10:00:00Z",
    " 2017-03-01T10:00:00Z", "2017-03-01T10:00:00Z ", "2017-03-01T10:00:00Z\n", "now",
    "1488362400", "1488362400000", "1989-12-31T23:59:59Z", "1990-01-01T00:00:00Z",
    "2100-01-01T00:00:00Z", "2100-01-01T00:00:00.000001Z", "2017-03-01T10:00:00z",
]  # fmt: skip
RAW = [  # what no writer of JSON gives, or few
    "null", "true", "false", "[]", "[1]", "[[1], [2]]", "{}", '{"a": 1}', '{"a": 1, "a": 2}',
    '{"a": {"b": 1, "b": 2}}', '{"a": {"b": {"c": [1, {"d": null}]}}}', '{"": 1}', '{"a.b": 1}',
    '{"A": 1, "a": 2}', '{"a": NaN}', '{"a": 1e400}', '{"a": 1e-400}', '{"a": 9e99}',
    '{"a": 12345678901234567890}', '{"a": 1.10}', '{"a": -0}', '{"a": "]"}', '{"a": [1]}',
    '{"a": "\\ud800"}', '{"a": "\\u0000"}', '{"b": 1, "a": 2}', '{"a": 1,}', "{'a': 1}", "{a: 1}",
    "[1,]", "[1] // x", "'x'", "x", "", "undefined", "None", "True", "tru", '"\\x"', '"\\ud800"',
    '"\\udc00\\ud800"', '"\\ud83d\\uded2"', '"\\u0031"', '"\\/"', '"a\tb"', '"a\nb"', '"a\x00b"',
    '"\\u0000"', '"x', "/* x */ 1", "1 2", "1,", "1}", '1} {"a": 1', '1}, {"a": 1',
    "[" * 50 + "]" * 50, '{"a":' * 50 + "1" + "}" * 50, "[" * 1001 + "]" * 1001,
]  # fmt: skip
KEYS = [
    *FIELDS, "attributes", "x", "", " ", "Item_ID", "EVENT_TYPE", "event_type ", "__proto__",
    "a.b", "A", "a", "_malformed", "key", "value", "\u202e", "i\u0301", "a]", "}", "[",
]  # fmt: skip
SPACE = ["", "", "", " ", "\t", "\n", "\r\n", " \n ", "\u00a0", "\ufeff", "\x0b", "\x00", "/**/"]
BEFORE = ["", "", "", " ", "\n", "\ufeff", "[", "{}", "null ", "x", "//\n", "\x00", ",", "{}, "]
BEHIND = [
    "", "", "", " ", "\n", "]", "}", "x", " and more", ", {}", "{}", " {}", ", 1", "//", "/**/",
    "\x00", ",", "]]", "], [", "] x", " null", '"', "}]", "\u00a0", "\x1a", "#",
]  # fmt: skip
BYTES = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x00", b"\xef"]


def escaped(text: str) -> str:
    """A text as JSON, every character by its number."""
    units = text.encode("utf-16-be")
    return '"' + "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2)) + '"'


TEXT = st.one_of(st.sampled_from(TEXTS + TIMES), st.text(max_size=6))
QUOTED = st.one_of(
    TEXT.map(json.dumps),
    TEXT.map(lambda text: json.dumps(text, ensure_ascii=False)),
    TEXT.filter(lambda text: text.isprintable()).map(escaped),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
).map(json.dumps)
VALUE = st.one_of(QUOTED, st.sampled_from(NUMBERS), st.sampled_from(RAW), JSON)
KEY = st.one_of(
    st.sampled_from(KEYS).map(json.dumps),
    st.sampled_from(KEYS).map(json.dumps),
    st.sampled_from(KEYS).filter(bool).map(escaped),
    QUOTED,
    st.sampled_from(["item_id", "'item_id'", "null", "1", '"a\tb"', '"\\ud800"']),
)
ONE_IN_FOUR = st.sampled_from([False, False, False, True])


@st.composite
def fields(draw: st.DrawFn) -> list[Field]:
    """The fields of a good event, some of them replaced, added, taken away or repeated."""
    good = event(draw(st.sampled_from(TYPES)), draw(st.integers(0, 9)))
    found = [(json.dumps(name), json.dumps(value)) for name, value in good.items()]
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        place = draw(st.integers(0, len(found)))
        kind = draw(st.sampled_from(["value", "value", "value", "add", "add", "drop", "again"]))
        if kind == "add" or not found[place : place + 1]:
            found.insert(place, (draw(KEY), draw(VALUE)))
        elif kind == "value":
            found[place] = (found[place][0], draw(VALUE))
        elif kind == "drop":
            del found[place]
        else:
            found.insert(draw(st.integers(0, len(found))), found[place])
    return found


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """An event in odd dress: white space, text around it, bytes that are none of its."""
    space = st.sampled_from(SPACE) if draw(ONE_IN_FOUR) else st.just("")
    colon, comma = draw(space) + ":" + draw(space), draw(space) + "," + draw(space)
    inside = comma.join(f"{key}{colon}{value}" for key, value in draw(fields()))
    around = draw(ONE_IN_FOUR)
    before, behind = (draw(st.sampled_from(s)) if around else "" for s in (BEFORE, BEHIND))
    payload = f"{before}{{{draw(space)}{inside}{draw(space)}}}{behind}".encode()
    if not draw(ONE_IN_FOUR):
        return payload
    place = draw(st.integers(0, len(payload)))
    return payload[:place] + draw(st.sampled_from([b"", *BYTES])) + payload[place + 1 :]


def bronze(spark: SparkSession, events: Iterable[bytes]) -> DataFrame:
    return spark.createDataFrame([("s", 0, n, e, None) for n, e in enumerate(events)], BRONZE)


def collected(rows: DataFrame) -> dict[int, dict[str, Any]]:
    """Rows by their number; `attributes` as its text and its type, which tells 1 from 1.0."""
    shown = rows.selectExpr(
        "* EXCEPT (attributes)",
        "to_json(attributes) AS attributes",
        "schema_of_variant(attributes) AS attributes_type",
    )
    return {row["source_offset"]: row.asDict() for row in shown.collect()}


def test_untouched_good_events_are_plain(spark: SparkSession) -> None:
    kinds = [kind for kind in TYPES if kind != "impression"]  # a list is read the careful way
    given = [event(kind, number) for kind in kinds for number in range(2)]
    given += [event(kind, 3, attributes={"a": {"b": 1}}) for kind in kinds]
    given += [event("purchase", 4, amount_cents=250), event("click", 5, customer_id="\u00fc\u4e2d")]
    rows = plain_events(bronze(spark, [json.dumps(e).encode() for e in given]), SILVER_EVENTS)
    assert [row["is_plain"] for row in rows.collect()] == [True] * len(given)


def some_payloads(count: int) -> list[bytes]:
    """As many payloads as one Spark job judges at once."""
    found: list[bytes] = []

    @settings(max_examples=count, deadline=None, derandomize=True, database=None)
    @given(payloads())
    def gather(payload: bytes) -> None:
        found.append(payload)

    gather()
    return found


def test_what_is_plain_is_what_the_careful_way_gives(spark: SparkSession) -> None:
    events = some_payloads(3000)
    rows = bronze(spark, events)
    plain = collected(plain_events(rows, SILVER_EVENTS))
    careful = collected(typed_events(rows, SILVER_EVENTS))
    assert plain.keys() == careful.keys() == set(range(len(events)))
    relied_on = {number: row for number, row in plain.items() if row.pop("is_plain")}
    assert all(
        (row.pop("payload") is None) == (number in relied_on) for number, row in plain.items()
    )
    wrong = [
        f"{events[number]!r}: {name} is {row.get(name, [])!r}, to be {right!r}"
        for number, row in relied_on.items()
        for name, right in careful[number].items()
        if name != "payload" and row.get(name, []) != right  # no reason is against a plain event
    ]
    assert wrong == []
    assert len(relied_on) > len(events) / 20, "the law speaks of too few"
