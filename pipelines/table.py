"""What a table is: pure data, without a session. `io/` interprets it, nothing else does."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Check:
    """One rule about a row, defined once and used twice.

    `condition` is a Spark SQL expression that is false (never null) where a row breaks the rule;
    `expectation` and `arguments` say the same to Great Expectations. `reason` is the code that a
    quarantined row carries.
    """

    reason: str
    condition: str
    expectation: str
    arguments: dict[str, Any] = field(hash=False)


def not_null(column: str) -> Check:
    """The column has a value."""
    return Check(
        reason=f"{column}_missing",
        condition=f"{column} IS NOT NULL",
        expectation="ExpectColumnValuesToNotBeNull",
        arguments={"column": column},
    )


def between(column: str, low: int, high: int) -> Check:
    """The number lies in [low, high]; null passes, `not_null` is its own check."""
    return Check(
        reason=f"{column}_out_of_range",
        condition=f"coalesce({column} BETWEEN {low} AND {high}, true)",
        expectation="ExpectColumnValuesToBeBetween",
        arguments={"column": column, "min_value": low, "max_value": high},
    )


def between_times(column: str, start: str, end: str) -> Check:
    """The instant lies in [start, end], given as ISO 8601; null passes."""
    return Check(
        reason=f"{column}_out_of_range",
        condition=f"coalesce({column} BETWEEN TIMESTAMP'{start}' AND TIMESTAMP'{end}', true)",
        expectation="ExpectColumnValuesToBeBetween",
        arguments={
            "column": column,
            "min_value": datetime.fromisoformat(start).replace(tzinfo=None),
            "max_value": datetime.fromisoformat(end).replace(tzinfo=None),
        },
    )


def matches(column: str, pattern: str, reason: str) -> Check:
    """The whole text matches a regular expression; null passes."""
    # `$` would let a newline at the end pass, in Java and in Python alike.
    whole = rf"^(?:{pattern})(?![\s\S])"
    escaped = whole.replace("\\", "\\\\").replace("'", "\\'")
    return Check(
        reason=reason,
        condition=f"coalesce({column} RLIKE '{escaped}', true)",
        expectation="ExpectColumnValuesToMatchRegex",
        arguments={"column": column, "regex": whole},
    )


def one_of(column: str, values: Sequence[str], reason: str) -> Check:
    """The text is one of these; null passes."""
    listed = ", ".join(f"'{value}'" for value in values)
    return Check(
        reason=reason,
        condition=f"coalesce({column} IN ({listed}), true)",
        expectation="ExpectColumnValuesToBeInSet",
        arguments={"column": column, "value_set": list(values)},
    )


@dataclass(frozen=True)
class Append:
    """Every row is a fact of its own."""


@dataclass(frozen=True)
class Upsert:
    """The latest row per key wins, by the `sequence_by` columns."""

    keys: tuple[str, ...]
    sequence_by: tuple[str, ...]


@dataclass(frozen=True)
class Overwrite:
    """Written whole by the job that owns it."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A Delta table: its name, grain, columns, and how rows come into it.

    Attributes:
        name: `layer.noun`.
        comment: the grain, in one sentence.
        schema: columns as Spark DDL, with NOT NULL and COMMENT.
        write: the strategy by which `io.write` adds rows.
        cluster_by: columns that questions filter on, the most selective first.
        checks: rules that split rows into valid and quarantined.
        event_type: the type of event it holds; empty for a table that takes none.
    """

    name: str
    comment: str
    schema: str
    write: Append | Upsert | Overwrite = Append()
    cluster_by: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    event_type: str = ""

    @property
    def layer(self) -> str:
        return self.name.split(".")[0]

    @property
    def short_name(self) -> str:
        return self.name.split(".")[1]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order; each stands on its own line of `schema`."""
        return tuple(re.findall(r"^\s*(\w+)\s+[A-Z]", self.schema, flags=re.MULTILINE))

    @property
    def skipped_by(self) -> tuple[str, ...]:
        """Columns whose least and greatest value Delta keeps of each file, to skip files by.

        Of ids and hashes each file has all; keeping theirs as well cost 1.3 of the 28 core-seconds
        of a million events.
        """
        times = re.findall(r"^\s*(\w+)\s+TIMESTAMP", self.schema, flags=re.MULTILINE)
        place = (column for column in ORIGIN[1:] if column in self.columns)
        return tuple(dict.fromkeys((*self.cluster_by, *times, *place)))


# Where in the source a row came from: the unique key of bronze, carried through silver.
ORIGIN = ("source", "source_partition", "source_offset")

ORIGIN_SCHEMA = """
    source           STRING NOT NULL COMMENT 'Kafka topic, Kinesis stream or file it came from',
    source_partition INT    NOT NULL COMMENT 'Kafka partition, Kinesis shard; 0 for a file',
    source_offset    BIGINT NOT NULL COMMENT 'Kafka offset; else the number of the row in it'
"""


def quarantine_of(table: Table) -> Table:
    """The table that keeps what `table` refused, with the reasons and the raw bytes."""
    return Table(
        name=f"{table.name}_quarantine",
        comment=f"One row per event that {table.name} refused, with the reasons.",
        schema=f"""
            event_id    STRING COMMENT 'as the event names itself, if it does',
            reasons     ARRAY<STRING> NOT NULL COMMENT 'codes of the checks that it broke',
            payload     BINARY COMMENT 'the event as it arrived',
            produced_at TIMESTAMP COMMENT 'when the source took it in, UTC',
            {ORIGIN_SCHEMA}
        """,
    )
