"""The mapping file: what a column of somebody's data is to the lakehouse, checked when read."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from pipelines.errors import MappingError
from pipelines.sources.mapping_values import EPOCH_FORMATS
from pipelines.yaml_file import line_of, locate, plain, read_yaml

EventType = Literal[
    "click", "purchase", "price_change", "inventory_change", "promotion", "item_upsert"
]  # fmt: skip
FieldName = Literal[
    "event_id", "occurred_at", "item_id", "region", "customer_id", "session_id", "basket_id",
    "quantity", "price_cents", "amount_cents", "currency", "delta_quantity", "placement",
    "duration_days", "title", "category", "brand",
]  # fmt: skip
MONEY = {"price_cents", "amount_cents"}
WHOLE = {"quantity", "delta_quantity", "duration_days"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FieldRule(_Part):
    """Where the value of one event field comes from."""

    column: str | None = None
    constant: str | int | None = None
    format: str = "iso"
    time_zone: str = "UTC"
    unit: Literal["major", "minor"] | None = None
    minor_digits: int = Field(default=2, ge=0, le=4)
    round: Literal["half_up"] | None = None
    negate: bool = False
    values: dict[str, str] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "FieldRule":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either 'column' or 'constant'")
        try:
            ZoneInfo(self.time_zone)
        except (ValueError, OSError, KeyError):
            raise ValueError(f"unknown time zone {self.time_zone!r}, e.g. Europe/Paris") from None
        if self.format != "iso" and self.format not in EPOCH_FORMATS:
            example = datetime(2017, 1, 2, 3, 4, 5)
            try:
                datetime.strptime(example.strftime(self.format), self.format)
            except (ValueError, re.error):
                raise ValueError(f"no time format: {self.format!r}") from None
        return self


class Condition(_Part):
    """Which rows an event is made of; every given test must hold."""

    column: str
    is_: Literal["negative", "zero", "positive", "present", "absent"] | None = Field(
        default=None, alias="is"
    )
    equals: str | list[str] | None = None
    matches: str | None = None
    not_: bool = Field(default=False, alias="not")

    @model_validator(mode="after")
    def _has_a_test(self) -> "Condition":
        if self.is_ is None and self.equals is None and self.matches is None:
            raise ValueError("give 'is', 'equals' or 'matches'")
        try:
            re.compile(self.matches or "")
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        return self


class TypeRule(_Part):
    """The event type by the text of a column; a text that is not listed is passed on."""

    column: str
    values: dict[str, EventType]


class EventRule(_Part):
    """One kind of event that a row can become."""

    event_type: EventType | TypeRule
    when: Condition | None = None
    keep_rest: bool | None = None
    fields: dict[FieldName, FieldRule] = Field(min_length=1)

    @model_validator(mode="after")
    def _money_has_a_unit(self) -> "EventRule":
        for name, rule in self.fields.items():
            if name in MONEY and rule.column is not None and rule.unit is None:
                raise ValueError(f"'{name}' needs 'unit: major' (2.55) or 'unit: minor' (255)")
        return self

    def columns(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Where in the rule a column is named, and the column."""
        for name, rule in self.fields.items():
            if rule.column is not None:
                yield ("fields", name, "column"), rule.column
        if self.when is not None:
            yield ("when", "column"), self.when.column
        if isinstance(self.event_type, TypeRule):
            yield ("event_type", "column"), self.event_type.column


class Mapping(_Part):
    """How the rows of a file become events."""

    format: Literal["csv", "jsonl", "parquet"] | None = None
    encoding: str = "utf-8-sig"
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    keep_rest: bool = True
    events: list[EventRule] = Field(min_length=1)
    _path: Path = PrivateAttr(default=Path("mapping"))
    _document: Any = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _is_readable(self) -> "Mapping":
        if self.decimal == self.thousands:
            raise ValueError("'decimal' and 'thousands' must differ")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"unknown encoding {self.encoding!r}, e.g. cp1252") from None
        return self

    def where(self, *key: str | int) -> str:
        """`file:line` of a key of this mapping."""
        return locate(key, (self._path, self._document))


def load_mapping(path: Path) -> Mapping:
    """The mapping that a YAML file describes.

    Raises:
        MappingError: absent, malformed, an unknown key or a wrong value; with `file:line`.
    """
    if not path.is_file():
        known = ", ".join(sorted(file.name for file in path.parent.glob("*.yml")))
        raise MappingError(f"{path}: no such mapping; mappings here: {known or 'none'}")
    document = read_yaml(path, MappingError)
    try:
        mapping = Mapping.model_validate(document)
    except ValidationError as error:
        # A misspelt key is told before the missing one that it causes.
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        # Pydantic adds the tried type to the path of a union; it is no key of the file.
        key: list[str | int] = []
        for part in first["loc"]:
            if line_of((*key, part), document) is not None or part == first["loc"][-1]:
                key.append(part)
        name = ".".join(map(str, key)) or "mapping"
        while key and line_of(tuple(key), document) is None:
            key.pop()
        message = plain(first).split(", got ")[0].removeprefix("value error, ")
        where = locate(tuple(key), (path, document)) if key else f"{path}:1"
        raise MappingError(
            f"{where}: '{name}': {message}; see docs/bring-your-own-data.md"
        ) from None
    mapping._path, mapping._document = path, document
    return mapping
