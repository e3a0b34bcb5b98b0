"""Bring your own data: the rows of a file become events by a mapping in YAML.

`docs/bring-your-own-data.md` describes every key. No row vanishes: what does not fit is produced
as it is and ends in quarantine with the reason.
"""

import difflib
import hashlib
import json
import math
import re
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.errors import MappingError
from pipelines.sources.mapping_model import (
    MONEY,
    WHOLE,
    Condition,
    EventRule,
    FieldRule,
    Mapping,
    load_mapping,
)
from pipelines.sources.mapping_rows import Row, format_of, open_rows
from pipelines.sources.mapping_values import moment, money, number, plain_json, whole

__all__ = ["Mapping", "fingerprint", "load_mapping", "mapped_events"]

NAMESPACE = uuid.UUID("6d6f0a3e-3c0d-5a5e-9a55-0f6f2f0b7c11")
REMEMBERED_ITEMS = 200_000
UNMAPPED = "unmapped"


def mapped_events(file: Path, mapping: Mapping) -> Iterator[tuple[bytes, bytes]]:
    """The events of a file: key (item_id, or empty) and payload, compact JSON in UTF-8.

    Every row yields an event, except that an `item_upsert` is left out while nothing but its time
    differs from the item's last one in this file. A row that no rule takes and a line that is no
    row become an event of the type `unmapped`. Remembers about 120 bytes a row to number equal
    rows, unless the mapping names a column for the event_id.

    Raises:
        MappingError: the file cannot be read, or lacks a column that the mapping names.
    """
    form = mapping.format or format_of(file)
    if form is None:
        raise MappingError(f"{file}: unknown kind of file; set 'format:' to csv, jsonl or parquet")
    names, rows = open_rows(file, form, encoding=mapping.encoding, delimiter=mapping.delimiter)
    _check_columns(file, names, mapping)
    return _Mapper(mapping).events(rows)


def fingerprint(file: Path, mapping: Mapping) -> str:
    """SHA-256 (hex) over the bytes of the file and the mapping.

    Raises:
        MappingError: the file cannot be read.
    """
    try:
        with file.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256")
    except OSError as error:
        raise MappingError(f"{file}: not readable: {error.strerror}; check the path") from None
    digest.update(mapping.model_dump_json().encode())
    return digest.hexdigest()


def _check_columns(file: Path, names: list[str], mapping: Mapping) -> None:
    for index, rule in enumerate(mapping.events):
        for place, column in rule.columns():
            if column in names or column.partition(".")[0] in names:
                continue
            near = difflib.get_close_matches(column, names, n=len(names), cutoff=0.0)
            shown = ", ".join([*near, *(name for name in names if name not in near)][:20])
            where = mapping.where("events", index, *place)
            other = [mark for mark in ";\t|," if len(names) == 1 and mark in names[0]]
            hint = f"; set 'delimiter: {other[0]!r}'" if other else "; correct the name"
            raise MappingError(f"{where}: {file} has no column '{column}', it has: {shown}{hint}")


class _Mapper:
    """The events of one file; counts equal rows and remembers the last form of the items."""

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._seen: Counter[bytes] = Counter()
        self._items: OrderedDict[str, bytes] = OrderedDict()

    def events(self, rows: Iterator[Row]) -> Iterator[tuple[bytes, bytes]]:
        for row in rows:
            rules = [] if row.problem else self._mapping.events
            taken = [rule for rule in rules if _applies(rule.when, row.values, self._mapping)]
            if not taken:
                event: dict[str, Any] = {"event_type": UNMAPPED}
                problem = row.problem or "no rule of the mapping takes this row"
                event["attributes"] = {"problem": problem, **row.values}
                yield self._finished(event, row, None)
            for rule in taken:
                event = self._mapped(rule, row.values)
                if event["event_type"] != "item_upsert" or self._is_news(event):
                    yield self._finished(event, row, event.pop("event_id", None))

    def _mapped(self, rule: EventRule, values: dict[str, Any]) -> dict[str, Any]:
        event: dict[str, Any] = {"event_type": _type_of(rule, values)}
        for name, field in rule.fields.items():
            value = _value(name, field, values, self._mapping)
            if value is not None and value != "":
                event[name] = value
        is_item = event["event_type"] == "item_upsert"
        keep = rule.keep_rest
        if keep is None:
            # The rest of a row about something else would make every item look changed.
            keep = self._mapping.keep_rest and not is_item
        if keep:
            named = {column for _, column in rule.columns()}
            rest = {k: v for k, v in values.items() if k not in named and v not in (None, "")}
            if rest:
                event["attributes"] = rest
        return event

    def _is_news(self, event: dict[str, Any]) -> bool:
        content = {k: v for k, v in event.items() if k not in ("occurred_at", "event_id")}
        digest = hashlib.blake2b(_json(content), digest_size=16).digest()
        key = str(event.get("item_id"))
        is_news = self._items.pop(key, None) != digest
        self._items[key] = digest
        if len(self._items) > REMEMBERED_ITEMS:
            self._items.popitem(last=False)
        return is_news

    def _finished(self, event: dict[str, Any], row: Row, given: Any) -> tuple[bytes, bytes]:
        if given is None:
            content = _json([event["event_type"], row.values])
            digest = hashlib.blake2b(content, digest_size=12).digest()
            self._seen[digest] += 1
            name = f"{digest.hex()}:{self._seen[digest]}"
        else:
            name = f"{event['event_type']}:{given}"
        event_id = str(given) if _is_uuid(given) else str(uuid.uuid5(NAMESPACE, name))
        item = event.get("item_id")
        key = b"" if item is None else str(item).encode("utf-8", "replace")
        return key, _json({"event_id": event_id, **event})


def _value(name: str, rule: FieldRule, values: dict[str, Any], mapping: Mapping) -> Any:
    if rule.column is None:
        return rule.constant
    raw = _lookup(values, rule.column)
    if rule.values is not None:
        raw = rule.values.get(str(raw).strip(), raw)
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return None
    marks = mapping.decimal, mapping.thousands
    if name == "occurred_at":
        return moment(raw, rule.format, ZoneInfo(rule.time_zone))
    if name in MONEY:
        digits = rule.minor_digits if rule.unit == "major" else 0
        return money(raw, *marks, digits=digits, half_up=rule.round == "half_up")
    if name in WHOLE:
        return whole(raw, *marks, negate=rule.negate)
    return raw if isinstance(raw, dict | list) else str(plain_json(raw)).strip()


def _type_of(rule: EventRule, values: dict[str, Any]) -> str:
    if isinstance(rule.event_type, str):
        return rule.event_type
    text = str(_lookup(values, rule.event_type.column)).strip()
    return rule.event_type.values.get(text, text)


def _applies(when: Condition | None, values: dict[str, Any], mapping: Mapping) -> bool:
    if when is None:
        return True
    raw = _lookup(values, when.column)
    text = "" if raw is None else str(raw).strip()
    equals = [when.equals] if isinstance(when.equals, str) else when.equals
    holds = equals is None or text in equals
    holds = holds and (when.matches is None or re.search(when.matches, text) is not None)
    if when.is_ in ("present", "absent"):
        holds = holds and bool(text) == (when.is_ == "present")
    elif when.is_ is not None:
        parsed = number(raw, mapping.decimal, mapping.thousands)
        signs = {"negative": -1, "zero": 0, "positive": 1}
        holds = holds and parsed is not None and (parsed > 0) - (parsed < 0) == signs[when.is_]
    return holds != when.not_


def _lookup(values: dict[str, Any], column: str) -> Any:
    """The value of a column; `a.b` is the key b of the object a where no column is called so."""
    if column in values:
        return values[column]
    node: Any = values
    for part in column.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    return node


def _is_uuid(value: Any) -> bool:
    try:
        return str(uuid.UUID(str(value))) == str(value).lower()
    except ValueError:
        return False


def _json(value: Any) -> bytes:
    options: dict[str, Any] = {"separators": (",", ":"), "default": plain_json}
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, **options)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, **options)
    return text.encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    """The same with NaN and infinity as text: JSON has no such numbers."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
