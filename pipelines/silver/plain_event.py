"""The quick way for plain events; `event.typed_events` says what is right, for every event.

Nearly all events of a shop are plain: one JSON object in UTF-8 with the fields of its table, none
twice, none null, and nothing wrong. For them one parse and one compiled condition suffice.
"""

from collections.abc import Iterable
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.silver.event import FIELDS, by_type, known_fields, text, typed_field
from pipelines.table import ORIGIN, Table

_TYPED = {name: kind for name, kind in FIELDS.items() if kind != "STRING"}


def plain_events(bronze_events: DataFrame, tables: Iterable[Table]) -> DataFrame:
    """Bronze rows with their typed fields, and whether these may be relied on.

    Args:
        bronze_events: rows of bronze.events.
        tables: the silver tables that take events, each with its `event_type`.

    Returns:
        One row per bronze row: the origin, `produced_at`, `payload_hash`, the columns of `FIELDS`,
        `attributes`, `table_name`, `is_plain`, and `payload` where that is false. Where it is
        true, `typed_events` gives the same row and no reason against it.
    """
    tables = tuple(tables)
    kept = (*ORIGIN, "text", "produced_at")
    # As text the bytes are passed on by reference; as BINARY each step would copy them.
    events = bronze_events.select(*ORIGIN, text().alias("text"), "produced_at")
    # One step, in which the parse is a common subexpression: a row is copied at every step.
    given = events.select(
        *kept,
        F.xxhash64("text").alias("payload_hash"),
        F.when(_is_one_object(), F.size(_object())).alias("keys"),
        *(_value(name, tables).alias(_given(name)) for name in (*FIELDS, "attributes")),
    )
    typed = given.select(
        "*",
        *(typed_field(F.col(_given(name)), kind).alias(name) for name, kind in _TYPED.items()),
        F.try_parse_json(_given("attributes")).alias("attributes"),
    )
    is_plain = by_type({table: _is_good(table) for table in tables}, F.lit(False))
    table_name = by_type({t: F.lit(t.name) for t in tables}, F.lit("bronze.events"))
    judged = typed.select(
        *kept,
        "payload_hash",
        *FIELDS,
        "attributes",
        table_name.alias("table_name"),
        F.coalesce(is_plain, F.lit(False)).alias("is_plain"),
    )
    # A third of a row's bytes, which hardly any plain event is asked for.
    payload = F.when(~F.col("is_plain"), F.col("text").cast("binary"))
    return judged.withColumn("payload", payload).drop("text")


def _alone() -> Column:
    """The objects that the text holds.

    As a map one parse gives the values and, by its size, whether there are further fields; in
    brackets, because Spark's parser passes over what follows a text's first value.
    """
    return F.from_json(
        F.concat(F.lit("["), F.col("text"), F.lit("]")),
        "ARRAY<MAP<STRING, STRING>>",
        {"allowNonNumericNumbers": "false"},  # NaN and Infinity are no JSON
    )


def _object() -> Column:
    return F.try_element_at(_alone(), F.lit(1))


def _is_one_object() -> Column:
    """Whether the text is UTF-8 and one object; a bracket in it might close ours too early."""
    is_one = F.size(_alone()) == 1
    return is_one & ~F.contains("text", F.lit("]")) & F.is_valid_utf8("text")


def _value(name: str, tables: Iterable[Table]) -> Column:
    """A field's text; not looked for in events of tables that do not name it."""
    value = F.try_element_at(_object(), F.lit(name))
    types = [table.event_type for table in tables if name in known_fields(table)]
    if name == "event_type" or len(types) == len(tuple(tables)):
        return value
    return F.when(F.try_element_at(_object(), F.lit("event_type")).isin(types), value)


def _given(name: str) -> str:
    """The column of a field as it was given; a text is given as it is typed."""
    return name if FIELDS.get(name) == "STRING" else f"given_{name}"


def _is_good(table: Table) -> Column:
    """Whether the event has its table's fields only, readable ones, and keeps its checks."""
    names = sorted(known_fields(table))
    # A field that is there accounts for one key: as many keys as fields, and there is no other.
    there = reduce(Column.__add__, (F.col(_given(name)).isNotNull().cast("int") for name in names))
    readable = [
        F.col(_given(name)).isNull() | F.col(name).isNotNull()
        for name in names
        if FIELDS.get(name) != "STRING"
    ]
    checks = [F.expr(check.condition) for check in table.checks]
    return reduce(Column.__and__, (F.col("keys") == there, *readable, *checks))
