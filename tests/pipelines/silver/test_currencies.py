"""Which codes are currencies."""

from typing import Any

from pyspark.sql import SparkSession

from pipelines.silver.currencies import CURRENCIES


def test_every_currency_that_java_knows_is_one(spark: SparkSession) -> None:
    jvm: Any = spark._jvm
    known = {c.getCurrencyCode() for c in jvm.java.util.Currency.getAvailableCurrencies()}
    assert known <= set(CURRENCIES), "a newer Java knows more: add them"
    assert len(CURRENCIES) == len(set(CURRENCIES))
    assert all(len(code) == 3 and code.isupper() and code.isascii() for code in CURRENCIES)
