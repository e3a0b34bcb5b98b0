"""What must hold of a lake, computed by code that shares nothing with the pipelines.

The tables' logs are read by delta-rs, their rows by DuckDB, and what was sent from the producer's
own ledger: a row per message that the broker acknowledged, with its partition, its offset and the
first 8 bytes of the SHA-256 of its payload, synced to disk before the command ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

EVENTS = ("purchases", "clicks", "price_changes", "inventory_changes", "promotions", "impressions",
          "items")  # fmt: skip
ORIGIN = "source, source_partition, source_offset"
# Where a row of bronze may stand, once.
PLACES = (
    "bronze.events_quarantine",
    *(f"silver.{name}" for name in EVENTS),
    *(f"silver.{name}_quarantine" for name in EVENTS),
    "silver.late_events",
    "silver.dropped_events",
)


def sizes(table: DeltaTable) -> dict[str, int]:
    """Live files -> bytes, by the log."""
    actions = pa.table(table.get_add_actions(flatten=True)).to_pylist()
    return {unquote(one["path"]): one["size_bytes"] for one in actions}


@dataclass
class Lake:
    """The tables of a lake, all or some, as views of a DuckDB connection, `layer__noun`."""

    root: Path
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.connection.execute("SET TimeZone = 'UTC'")
        self.tables: dict[str, DeltaTable] = {}
        for log in sorted(self.root.glob("*/*/_delta_log")):
            name = f"{log.parent.parent.name}.{log.parent.name}"
            if not self.only or name in self.only:
                self.tables[name] = DeltaTable(str(log.parent))

    def open(self) -> None:
        """Make the tables' rows known to DuckDB; needs all their files."""
        for name, table in self.tables.items():
            self._show(name, self.root / name.replace(".", "/"), table)

    def show_version(self, name: str, version: int) -> str:
        """Make the rows of an older version known; under which name."""
        folder = self.root / name.replace(".", "/")
        view = f"{name.replace('.', '__')}__{version}"
        self._show(view, folder, DeltaTable(str(folder), version=version))
        return view

    def _show(self, name: str, folder: Path, table: DeltaTable) -> None:
        files = [str(folder / path) for path in sizes(table)]
        view = name.replace(".", "__")
        if not files:
            return
        gone = []
        if "deletionVectors" in (table.protocol().reader_features or ()):
            for batch in map(pa.record_batch, table.deletion_vectors()):
                for file, keeps in zip(batch["filepath"], batch["selection_vector"], strict=True):
                    path = f"{folder}/{file.as_py().rsplit('/', 1)[1]}"
                    gone += [(path, n) for n, kept in enumerate(keeps.as_py()) if not kept]
        hidden = pa.table({"file": [g[0] for g in gone], "row": [g[1] for g in gone]})
        hidden = hidden.cast(pa.schema({"file": pa.string(), "row": pa.int64()}))
        self.connection.register(f"{view}__gone", hidden)
        names = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        self.connection.execute(
            f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM read_parquet([{names}], "
            "filename = 'its_file', file_row_number = true, union_by_name = true) AS f "
            f"ANTI JOIN {view}__gone AS g "
            "ON f.its_file = g.file AND f.file_row_number = g.row"
        )

    def sizes(self, name: str) -> dict[str, int]:
        """Live files -> bytes, by the log."""
        return sizes(self.tables[name])

    def has(self, name: str) -> bool:
        return name in self.tables and bool(self.sizes(name))

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        return self.connection.sql(sql).fetchall()

    def differ(self, one: str, other: str) -> tuple[int, int]:
        """Rows, counted with their repetitions, that only one of two questions gives."""
        (only,), (extra,) = (
            self.ask(f"SELECT count(*) FROM (({a}) EXCEPT ALL ({b}))")
            for a, b in ((one, other), (other, one))
        )
        return int(str(only[0])), int(str(extra[0]))


def i1_bronze_is_what_was_sent(lake: Lake, ledger: Path) -> Iterator[str]:
    """The multiset of (partition, offset, digest), both ways."""
    parts = f"read_parquet('{ledger}/*/part-*.parquet')"
    sent = f'SELECT partition, "offset", lower(hex(digest)) AS digest FROM {parts}'
    held = (
        "SELECT CAST(source_partition AS INT), source_offset, substr(sha256(payload), 1, 16) "
        "FROM bronze__events"
    )
    lost, extra = lake.differ(sent, held)
    if lost or extra:
        yield f"I1: {lost} events lost, {extra} that nobody sent, or sent once and held twice"


def i2_each_row_has_one_place(lake: Lake) -> Iterator[str]:
    """Bronze = accepted + refused + late + dropped; no event_id twice in a table."""
    places = [place for place in PLACES if lake.has(place)]
    held = " UNION ALL ".join(f"SELECT {ORIGIN} FROM {p.replace('.', '__')}" for p in places)
    nowhere, doubled = lake.differ(f"SELECT {ORIGIN} FROM bronze__events", held)
    if nowhere or doubled:
        yield f"I2: {nowhere} rows of bronze stand nowhere, {doubled} twice or of no row"
    for name in EVENTS:
        if not lake.has(f"silver.{name}") or name == "items":
            continue
        ((twice,),) = lake.ask(f"SELECT count(*) - count(DISTINCT event_id) FROM silver__{name}")
        if twice:
            yield f"I2: silver.{name} holds {twice} events twice"


def i4_money_is_kept(lake: Lake) -> Iterator[str]:
    """Minor units, whole, by currency and day: of silver and of the view."""
    silver = "SELECT currency, CAST(occurred_at AS DATE), sum(amount_cents) FROM silver__purchases"
    gold = "SELECT currency, CAST(hour_at AS DATE), sum(revenue_cents) FROM gold__sales_hourly"
    missing, extra = lake.differ(f"{silver} GROUP BY ALL", f"{gold} GROUP BY ALL")
    if missing or extra:
        yield f"I4: on {max(missing, extra)} days gold.sales_hourly holds other money than silver"
    columns = ("silver__purchases", "amount_cents"), ("gold__sales_hourly", "revenue_cents")
    for table, column in columns:
        ((kind,),) = lake.ask(f"SELECT any_value(typeof({column})) FROM {table}")
        if kind not in ("BIGINT", "INTEGER"):
            yield f"I4: {table}.{column} is {kind}, no whole number"


def i8_files_are_there(lake: Lake) -> Iterator[str]:
    """Every live file exists with the size that the log gives."""
    for name in lake.tables:
        folder = lake.root / name.replace(".", "/")
        for path, size in lake.sizes(name).items():
            file = folder / path
            if not file.is_file() or file.stat().st_size != size:
                yield f"I8: {name}: {path} is not there as the log has it"


def broken(root: Path, ledger: Path) -> list[str]:
    """Everything that does not hold; files first, since nothing is read without them."""
    lake = Lake(root)
    if found := list(i8_files_are_there(lake)):
        return found
    lake.open()
    found += i1_bronze_is_what_was_sent(lake, ledger)
    found += i2_each_row_has_one_place(lake)
    if lake.has("gold.sales_hourly"):
        found += i4_money_is_kept(lake)
    return found
