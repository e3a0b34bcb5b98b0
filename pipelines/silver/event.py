"""The event: its fields, how the bytes become typed columns, and what all silver tables share."""

from collections.abc import Iterable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.table import (
    ORIGIN,
    ORIGIN_SCHEMA,
    Check,
    Table,
    between_times,
    matches,
    not_null,
)

# Field -> Spark type. `attributes` is open and keeps every field that a table does not name.
FIELDS: Mapping[str, str] = {
    "event_id": "STRING",
    "event_type": "STRING",
    "occurred_at": "TIMESTAMP",
    "item_id": "STRING",
    "region": "STRING",
    "category": "STRING",
    "customer_id": "STRING",
    "session_id": "STRING",
    "basket_id": "STRING",
    "quantity": "BIGINT",
    "price_cents": "BIGINT",
    "amount_cents": "BIGINT",
    "currency": "STRING",
    "delta_quantity": "BIGINT",
    "placement": "STRING",
    "duration_days": "BIGINT",
    "title": "STRING",
    "brand": "STRING",
}

MAX_CENTS = 1_000_000_000_00  # one thousand million: a larger price is a unit mistake

EVENT_SCHEMA = f"""
    event_id     STRING NOT NULL COMMENT 'unique id that the producer gave',
    occurred_at  TIMESTAMP NOT NULL COMMENT 'when it happened, UTC',
    item_id      STRING NOT NULL COMMENT 'the item it is about',
    attributes   VARIANT COMMENT 'every further field of the event',
    payload_hash BIGINT NOT NULL COMMENT 'xxhash64 of the payload, tells a resend from a reuse',
    produced_at  TIMESTAMP COMMENT 'when the source took it in, UTC',
    {ORIGIN_SCHEMA}
"""
EVENT_COLUMNS = (
    "event_id",
    "occurred_at",
    "item_id",
    "attributes",
    "payload_hash",
    "produced_at",
    *ORIGIN,
)
FACT_SCHEMA = f"""
    {EVENT_SCHEMA},
    region       STRING NOT NULL COMMENT 'where it happened',
    category     STRING COMMENT 'product category at that time; null if the event names none'
"""
FACT_COLUMNS = (*EVENT_COLUMNS, "region", "category")

UUID_PATTERN = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

# 1 to 128 characters, without control characters and those that reverse or break the line. ASCII,
# nearly everything, is done with in the first half; possessive, 99 ns instead of 126.
TEXT_PATTERN = (
    r"[ -~]{1,128}+"
    r"|[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]{1,128}+"
)

EVENT_CHECKS = (
    not_null("event_id"),
    matches("event_id", UUID_PATTERN, "event_id_not_uuid"),
    not_null("occurred_at"),
    between_times("occurred_at", "1990-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
    not_null("item_id"),
    matches("item_id", r"[\x21-\x7e]{1,128}", "item_id_malformed"),
)


def short_text(column: str) -> Check:
    """A short text that can be shown."""
    return matches(column, TEXT_PATTERN, f"{column}_malformed")


FACT_CHECKS = (*EVENT_CHECKS, not_null("region"), short_text("region"), short_text("category"))


def typed_events(bronze_events: DataFrame, tables: Iterable[Table]) -> DataFrame:
    """Bronze rows as typed events, each with the table it belongs to and the reasons against it.

    Args:
        bronze_events: rows of bronze.events.
        tables: the silver tables that take events, each with its `event_type`.

    Returns:
        One row per bronze row: the columns of `FIELDS`, `attributes`, `payload_hash`, `payload`,
        `produced_at`, the origin, `table_name` (bronze.events if no table takes the event) and
        `reasons` (empty for a valid row).
    """
    tables = tuple(tables)
    schema = ", ".join(f"{name} STRING" for name in (*FIELDS, "attributes", "_malformed"))
    raw = bronze_events.withColumns(
        {
            "raw": F.from_json(text(), schema, {"columnNameOfCorruptRecord": "_malformed"}),
            "names": F.json_object_keys(text()),
        }
    ).withColumn("given", F.try_parse_json("raw.attributes"))
    attributes, is_lost = _attributes(tables)
    typed = raw.select(
        *ORIGIN,
        "payload",
        "produced_at",
        F.xxhash64("payload").alias("payload_hash"),
        "raw",
        *(typed_field(F.col(f"raw.{name}"), kind).alias(name) for name, kind in FIELDS.items()),
        attributes.alias("attributes"),
        is_lost.alias("is_lost"),
        _unroutable(tables).alias("unroutable"),
    )
    return typed.select(
        "*",
        by_type({t: F.lit(t.name) for t in tables}, F.lit("bronze.events")).alias("table_name"),
        by_type({t: _reasons(t) for t in tables}, F.array("unroutable")).alias("reasons"),
    ).drop("raw", "is_lost", "unroutable")


def text() -> Column:
    return F.col("payload").cast("string")


def _unroutable(tables: Iterable[Table]) -> Column:
    """Why no table can take the event; null if one may."""
    known = [table.event_type for table in tables]
    return (
        F.when(F.coalesce(F.length("payload"), F.lit(0)) == 0, "empty")
        .when(~F.is_valid_utf8(text()), "not_utf8")
        .when(~text().rlike(r"^\s*\{"), "not_a_json_object")
        .when(F.col("raw._malformed").isNotNull() | _goes_on(), "malformed_json")
        .when(F.col("names").isNull(), "malformed_json")
        .when(F.size("names") > F.size(F.array_distinct("names")), "duplicate_keys")
        .when(F.col("raw.event_type").isNull(), "event_type_missing")
        .when(~F.col("raw.event_type").isin(known), "event_type_unknown")
    )


def _goes_on() -> Column:
    """Whether something follows the object, which Spark's parser would pass over.

    Only text where a brace is followed by what cannot follow an object is parsed once more.
    """
    alone = F.from_json(F.concat(F.lit("["), text(), F.lit("]")), "ARRAY<STRING>")
    is_one = F.coalesce(F.size(alone) == 1, F.lit(False))
    return F.when(text().rlike(r"\}\s*[^\s,}\]]"), ~is_one).otherwise(F.lit(False))


def typed_field(given: Column, kind: str) -> Column:
    """A field's text as its type; null if it cannot be."""
    if kind == "TIMESTAMP":  # Spark would complete a time of day with today's date
        return F.when(given.rlike(r"^\d{4}-\d"), given.try_cast(kind))
    return given.try_cast(kind)


def _is_unreadable(name: str) -> Column:
    """Whether a field has a value of the wrong type."""
    if name == "attributes":
        return F.col("is_lost")
    return F.col(f"raw.{name}").isNotNull() & F.col(name).isNull()


def known_fields(table: Table) -> set[str]:
    return {"event_type", "attributes"} | (FIELDS.keys() & set(table.columns))


def _attributes(tables: Iterable[Table]) -> tuple[Column, Column]:
    """The open attributes with every field beside them that the event's table does not name.

    The payload is read a second time only where such a field exists.

    Returns:
        The attributes, and whether some could not be read.
    """
    known = F.lit(None).cast("ARRAY<STRING>")
    for table in tables:
        fields = F.array(*map(F.lit, sorted(known_fields(table))))
        known = F.when(F.col("raw.event_type") == table.event_type, fields).otherwise(known)
    has_more = F.size(F.array_except("names", known)) > 0
    everything = F.try_variant_get(F.try_parse_json(text()), "$", "MAP<STRING, VARIANT>")
    more = F.map_filter(everything, lambda name, _: ~F.array_contains(known, name))
    given = F.col("given")
    beside = F.coalesce(
        F.try_variant_get(given, "$", "MAP<STRING, VARIANT>"),
        F.when(given.isNotNull(), F.create_map(F.lit("attributes"), given)),  # a list, a number
        F.expr("CAST(map() AS MAP<STRING, VARIANT>)"),
    )
    merged = F.map_concat(
        F.map_filter(beside, lambda name, _: ~F.map_contains_key(more, name)), more
    )
    is_lost = (F.col("raw.attributes").isNotNull() & given.isNull()) | (
        F.coalesce(has_more, F.lit(False)) & everything.isNull()
    )
    return F.when(has_more, F.to_variant_object(merged)).otherwise(given), is_lost


def _reasons(table: Table) -> Column:
    """Codes of what is wrong with an event of this table.

    Whether anything is wrong is asked first, as one condition that Spark compiles; the array of
    codes, which it interprets, is made for the few that are: 1.6 times as fast on good events.
    """
    typed = [name for name in sorted(known_fields(table)) if FIELDS.get(name) != "STRING"]
    faults = {f"{name}_unreadable": _is_unreadable(name) for name in typed}
    faults |= {check.reason: ~F.expr(check.condition) for check in table.checks}
    is_good = reduce(Column.__and__, (~fault for fault in faults.values()))
    codes = F.array_compact(F.array(*(F.when(fault, code) for code, fault in faults.items())))
    return (
        F.when(F.col("unroutable").isNotNull(), F.array("unroutable"))
        .when(is_good, F.expr("CAST(array() AS ARRAY<STRING>)"))
        .otherwise(codes)
    )


def by_type(values: Mapping[Table, Column], default: Column) -> Column:
    """A CASE over the event type."""
    result = default
    for table, value in values.items():
        result = F.when(F.col("event_type").eqNullSafe(table.event_type), value).otherwise(result)
    return result
