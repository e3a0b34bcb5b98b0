"""A person out of a text: theirs alone, in whatever form, and the same in Python and in Spark."""

import hmac
import json

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from pipelines.scrub import keyed_hash, scrub, scrubbed, scrubbed_of, without_erased

WHO = "cust-00000042"
TEXTS = {
    # its own field, as text and as number; the bytes around it stay
    '{"customer_id":"cust-00000042","n": 1.10}': '{"customer_id":null,"n": 1.10}',
    '{"a":1, "customer_id" : "cust-00000042"}': '{"a":1, "customer_id" : null}',
    '{"attributes":{"customer_id":"cust-00000042"}}': '{"attributes":{"customer_id":null}}',
    # elsewhere, by itself
    '{"referred_by":"cust-00000042"}': '{"referred_by":"erased"}',
    '{"note":"told cust-00000042. Twice"}': '{"note":"told erased. Twice"}',
    '{"session_id":"s:cust-00000042"}': '{"session_id":"s:erased"}',
    # no JSON any more, or yet
    '{"customer_id":"cust-00000042","quantity': '{"customer_id":null,"quantity',
    # another person, whose id only looks like it
    '{"customer_id":"cust-000000421"}': None,
    '{"customer_id":"a-cust-00000042"}': None,
    '{"customer_id":"cust-00000042@b.com"}': None,
    '{"customer_id":"cust-00000042.com"}': None,
    "": None,
}


def in_spark(spark: SparkSession, texts: list[str], who: str) -> list[str]:
    rows = spark.createDataFrame([(n, t) for n, t in enumerate(texts)], "n INT, text STRING")
    columns = scrubbed(F.col("text"), F.lit(who)), scrubbed_of(F.col("text"), (who,))
    found = rows.select("n", *columns).orderBy("n").collect()
    assert [row[1] for row in found] == [row[2] for row in found]
    return [row[1] for row in found]


def test_a_person_is_taken_out_and_nobody_else(spark: SparkSession) -> None:
    wanted = [text if new is None else new for text, new in TEXTS.items()]
    assert [scrub(text, WHO) for text in TEXTS] == wanted
    assert in_spark(spark, list(TEXTS), WHO) == wanted


def test_a_short_id_is_looked_for_in_its_field_alone(spark: SparkSession) -> None:
    texts = ['{"customer_id": 42,"quantity":42}', '{"customer_id":"42"}', '{"size":"42"}']
    wanted = ['{"customer_id": null,"quantity":42}', '{"customer_id":null}', '{"size":"42"}']
    assert [scrub(text, "42") for text in texts] == wanted
    assert in_spark(spark, texts, "42") == wanted


@pytest.mark.parametrize(
    "who", ["Zoë-Müller-1", 'a"b\\c.d*e(f', "日本語の長い名前です", "$1\\Q1234567"]
)
def test_any_character_of_an_id_is_itself(spark: SparkSession, who: str) -> None:
    texts = [json.dumps({"customer_id": who}), json.dumps({"customer_id": who}, ensure_ascii=False)]
    assert [json.loads(scrub(text, who)) for text in texts] == [{"customer_id": None}] * 2
    rows = spark.createDataFrame([(text,) for text in texts], "text STRING")
    found = rows.select(scrubbed_of(F.col("text"), (who,))).collect()
    assert [json.loads(row[0]) for row in found] == [{"customer_id": None}] * 2


@pytest.mark.parametrize("key", [b"k", b"x" * 64, b"y" * 100])
def test_the_keyed_hash_is_hmac(spark: SparkSession, key: bytes) -> None:
    texts = ["", "c1", "日本"]
    rows = spark.createDataFrame([(n, t) for n, t in enumerate(texts)], "n INT, text STRING")
    found = rows.select("n", keyed_hash(F.col("text"), key)).orderBy("n").collect()
    assert [row[1] for row in found] == [
        hmac.digest(key, text.encode(), "sha256").hex() for text in texts
    ]


def test_an_erased_person_comes_in_as_nobody(spark: SparkSession) -> None:
    digest = hmac.digest(b"key", WHO.encode(), "sha256").hex()
    payloads = [
        b'{"customer_id":"cust-00000042","by":"cust-00000042"}',
        b'{"customer_id":"cust-\\u00300000042"}',  # the same id, written in another way
        b'{"seen":[{"customer_id": "cust-00000042"}],"customer_id":7',  # nested; cut off
        b'{"customer_id":"cust-00000043"}',
        b"no JSON \xff",
        None,
    ]
    rows = spark.createDataFrame([(n, p) for n, p in enumerate(payloads)], "n INT, payload BINARY")
    new = without_erased(F.col("payload"), b"key", (digest,))
    found = [row[1] for row in rows.select("n", new).orderBy("n").collect()]
    assert found[:2] == [b'{"customer_id":null,"by":"erased"}', b'{"customer_id":null}']
    assert found[2] == b'{"seen":[{"customer_id": null}],"customer_id":7'
    assert found[3:] == payloads[3:]
