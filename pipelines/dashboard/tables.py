"""Questions to the lake's tables, answered by DuckDB and kept as long as the tables stay as is."""

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from pipelines.errors import LakeError
from pipelines.io.quick import Snapshot, bind, connect, snapshot
from pipelines.io.quick_types import Refused
from pipelines.settings import Settings

LOOK_S = 1.0  # between looks at a table's log: many who watch cost as much as one
_MOST_ANSWERS = 512
_TABLE = re.compile(r"\b(?:bronze|silver|gold)\.[a-z_]+\b")
# What the tables have beyond the types that Spark and DuckDB have alike.
_FURTHER = {"reasons": "VARCHAR[]", "payload": "BLOB"}

Row = dict[str, Any]


class MissingError(Exception):
    """A table that a question needs is not there, or cannot be read without Spark."""


@dataclass
class Tables:
    """The tables of a lake, asked in DuckDB's SQL by their names.

    Safe to share between threads.
    """

    settings: Settings
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _looked: dict[str, tuple[float, Snapshot | str]] = field(default_factory=dict)
    _kept: OrderedDict[tuple[object, ...], list[Row]] = field(default_factory=OrderedDict)

    def has(self, name: str) -> bool:
        """Whether a table is there and can be read."""
        return isinstance(self._look(name), Snapshot)

    def rows(self, sql: str, **values: object) -> list[Row]:
        """The rows of a question; instants are UTC without a zone.

        Args:
            sql: one SELECT that names tables as `layer.noun` and values as `$name`.
            values: what `$name` stands for.

        Raises:
            MissingError: a table that it names cannot be read.
            LakeError: the tables were changed while they were read, again and again.
        """
        names = sorted(set(_TABLE.findall(sql)))
        for attempt in (1, 2):
            tables = {name: self._snapshot(name) for name in names}
            versions = tuple((table.table_id, table.version) for table in tables.values())
            key = (sql, tuple(sorted(values.items())), versions)
            with self._lock:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    return self._kept[key]
            try:
                found = _ask(sql, values, tables.items())
            except duckdb.Error as error:  # a file was purged since its log was read
                if attempt == 1:
                    self._forget(names)
                    continue
                said = str(error).splitlines()[0]
                raise LakeError(
                    f"{', '.join(names)} cannot be read: {said}; refresh it, or try again"
                ) from None
            self._keep(key, found)
        return found

    def one(self, sql: str, **values: object) -> Row:
        """The only row of a question that has one."""
        return self.rows(sql, **values)[0]

    def _snapshot(self, name: str) -> Snapshot:
        found = self._look(name)
        if isinstance(found, str):
            raise MissingError(found)
        return found

    def _look(self, name: str) -> Snapshot | str:
        now = time.monotonic()
        with self._lock:
            at, known = self._looked.get(name, (0.0, ""))
            if at and now - at < LOOK_S:
                return known
        try:
            found: Snapshot | str = snapshot(self.settings, name)
        except Refused as refused:
            found = str(refused)
        with self._lock:
            self._looked[name] = (now, found)
        return found

    def _forget(self, names: Iterable[str]) -> None:
        with self._lock:
            for name in names:
                self._looked.pop(name, None)

    def _keep(self, key: tuple[object, ...], found: list[Row]) -> None:
        with self._lock:
            self._kept[key] = found
            while len(self._kept) > _MOST_ANSWERS:
                self._kept.popitem(last=False)


def _ask(sql: str, values: dict[str, object], tables: Iterable[tuple[str, Snapshot]]) -> list[Row]:
    with connect(threads=1) as connection:  # the API answers on these cores too
        for name, table in tables:
            further = {column: kind for column, kind in _FURTHER.items() if column in table.columns}
            bind(connection, name, table, further)
        cursor = connection.execute(sql, values or None)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
