"""The event: its fields, how the bytes become typed columns, and what all silver tables share."""

from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from pipelines.table import ORIGIN, ORIGIN_SCHEMA, Table, between_times, matches, not_null

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

UUID_PATTERN = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"

EVENT_CHECKS = (
    not_null("event_id"),
    matches("event_id", UUID_PATTERN, "event_id_not_uuid"),
    not_null("occurred_at"),
    between_times("occurred_at", "1990-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
    not_null("item_id"),
    matches("item_id", r"^[\x21-\x7e]{1,128}$", "item_id_malformed"),
)
FACT_CHECKS = (*EVENT_CHECKS, not_null("region"))


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
    text = F.col("payload").cast("string")
    raw = bronze_events.withColumn(
        "raw", F.from_json(text, schema, {"columnNameOfCorruptRecord": "_malformed"})
    )
    typed = raw.select(
        *ORIGIN,
        "payload",
        "produced_at",
        F.xxhash64("payload").alias("payload_hash"),
        *(F.expr(f"try_cast(raw.{name} AS {kind})").alias(name) for name, kind in FIELDS.items()),
        _attributes(tables).alias("attributes"),
        _unroutable(tables).alias("unroutable"),
        F.array_compact(F.array(*map(_unreadable, [*FIELDS, "attributes"]))).alias("unreadable"),
    )
    return typed.select(
        "*",
        _by_type({t: F.lit(t.name) for t in tables}, F.lit("bronze.events")).alias("table_name"),
        _by_type({t: _reasons(t) for t in tables}, F.array("unroutable")).alias("reasons"),
    ).drop("unroutable", "unreadable")


def _unroutable(tables: Iterable[Table]) -> Column:
    """Why no table can take the event; null if one may."""
    known = [table.event_type for table in tables]
    text = F.col("payload").cast("string")
    return (
        F.when(F.coalesce(F.length("payload"), F.lit(0)) == 0, "empty")
        .when(~F.is_valid_utf8(text), "not_utf8")
        .when(~F.ltrim(text).startswith("{"), "not_a_json_object")
        .when(F.col("raw._malformed").isNotNull(), "malformed_json")
        .when(F.col("raw.event_type").isNull(), "event_type_missing")
        .when(~F.col("raw.event_type").isin(known), "event_type_unknown")
    )


def _unreadable(name: str) -> Column:
    """The name of a field that has a value of the wrong type."""
    value = F.col(f"raw.{name}")
    kind = FIELDS.get(name)
    typed = F.try_parse_json(value) if kind is None else F.expr(f"try_cast(raw.{name} AS {kind})")
    return F.when(value.isNotNull() & typed.isNull(), F.lit(name))


def _known_fields(table: Table) -> set[str]:
    return {"event_type", "attributes"} | (FIELDS.keys() & set(table.columns))


def _attributes(tables: Iterable[Table]) -> Column:
    """The open attributes, and beside them every field that the event's table does not name.

    The payload is read a second time only where such a field exists.
    """
    text = F.col("payload").cast("string")
    given = F.try_parse_json(F.col("raw.attributes"))
    known = {t: F.array(*map(F.lit, sorted(_known_fields(t)))) for t in tables}
    names = F.json_object_keys(text)
    by_type = F.col("raw.event_type")

    def with_unknown(fields: Column) -> Column:
        everything = F.from_json(text, "MAP<STRING, VARIANT>")
        unknown = F.map_filter(everything, lambda name, _: ~F.array_contains(fields, name))
        beside = F.coalesce(given.cast("MAP<STRING, VARIANT>"), F.expr("map()"))
        merged = F.map_concat(
            F.map_filter(beside, lambda name, _: ~F.map_contains_key(unknown, name)), unknown
        )
        return F.when(F.size(F.array_except(names, fields)) > 0, F.to_variant_object(merged))

    result = F.lit(None).cast("variant")
    for table, fields in known.items():
        result = F.when(by_type.eqNullSafe(table.event_type), with_unknown(fields)).otherwise(
            result
        )
    return F.coalesce(result, given)


def _reasons(table: Table) -> Column:
    """Codes of what is wrong with an event of this table."""
    fields = F.array(*map(F.lit, sorted(_known_fields(table))))
    unreadable = F.transform(
        F.array_intersect("unreadable", fields), lambda name: F.concat(name, F.lit("_unreadable"))
    )
    broken = [F.when(~F.expr(check.condition), check.reason) for check in table.checks]
    return F.when(F.col("unroutable").isNotNull(), F.array("unroutable")).otherwise(
        F.concat(unreadable, F.array_compact(F.array(*broken)))
    )


def _by_type(values: Mapping[Table, Column], default: Column) -> Column:
    """A CASE over the event type."""
    result = default
    for table, value in values.items():
        result = F.when(F.col("event_type").eqNullSafe(table.event_type), value).otherwise(result)
    return result
