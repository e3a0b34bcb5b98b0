"""The invariants hold of a lake that the pipelines made, and each kind of damage breaks one."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from invariants import broken

from pipelines.settings import Settings
from pipelines.sources.produce import ProduceResult

AT = datetime(2017, 3, 1, 10, tzinfo=UTC)
SENT = [b'{"n": %d}' % n for n in range(6)]
ACCEPTED, REFUSED = range(5), range(5, 6)


def bronze(offsets: list[int], payloads: list[bytes]) -> pa.Table:
    return pa.table(
        {
            "source": ["topic"] * len(offsets),
            "source_partition": pa.array([0] * len(offsets), pa.int64()),
            "source_offset": pa.array(offsets, pa.int64()),
            "payload": pa.array(payloads, pa.binary()),
        }
    )


def purchases(offsets: list[int], cents: int = 150) -> pa.Table:
    table = bronze(offsets, [b""] * len(offsets)).drop_columns(["payload"])
    ids = pa.array([f"event-{n}" for n in offsets])
    amounts = pa.array([cents] * len(offsets), pa.int64())
    at = pa.array([AT] * len(offsets), pa.timestamp("us", "UTC"))
    columns = {
        "event_id": ids,
        "currency": pa.array(["USD"] * len(offsets)),
        "amount_cents": amounts,
    }
    for name, values in (columns | {"occurred_at": at}).items():
        table = table.append_column(
            name, values if isinstance(values, pa.Array) else pa.array(values)
        )
    return table


def sales(cents: object, kind: pa.DataType | None = None) -> pa.Table:
    at = pa.array([AT], pa.timestamp("us", "UTC"))
    revenue = pa.array([cents], kind or pa.int64())
    return pa.table({"currency": ["USD"], "hour_at": at, "revenue_cents": revenue})


def put(root: Path, name: str, table: pa.Table) -> None:
    write_deltalake(str(root / name.replace(".", "/")), table, mode="overwrite")


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Six events that were sent, five of them accepted and one refused."""
    root = tmp_path / "lake"
    put(root, "bronze.events", bronze(list(range(6)), SENT))
    put(root, "silver.purchases", purchases([*ACCEPTED]))
    put(root, "silver.purchases_quarantine", purchases([*REFUSED]))
    put(root, "gold.sales_hourly", sales(5 * 150))
    ledger = root / "_state" / "ledger" / "sent"
    ledger.mkdir(parents=True)
    digests = pa.array([sha256(one).digest()[:8] for one in SENT], pa.binary())
    offsets = pa.array(range(6), pa.int64())
    rows = {"partition": pa.array([0] * 6, pa.int32()), "offset": offsets, "digest": digests}
    pq.write_table(pa.table(rows), ledger / "part-00000.parquet")
    return root


def found(root: Path) -> list[str]:
    return broken(root, root / "_state" / "ledger")


def test_a_whole_lake_breaks_nothing(whole: Path) -> None:
    assert found(whole) == []


def lose_a_file(root: Path) -> None:
    next((root / "silver" / "purchases").glob("*.parquet")).unlink()


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "an event is lost": (
        "I1: 1 events lost, 0",
        lambda root: put(root, "bronze.events", bronze([*range(5)], SENT[:5])),
    ),
    "an event is there twice": (
        "I1: 0 events lost, 1",
        lambda root: put(root, "bronze.events", bronze([*range(6), 3], [*SENT, SENT[3]])),
    ),
    "a payload was altered": (
        "I1: 1 events lost, 1",
        lambda root: put(root, "bronze.events", bronze([*range(6)], [*SENT[:5], b"{}"])),
    ),
    "an event nobody sent": (
        "I1: 0 events lost, 1",
        lambda root: put(root, "bronze.events", bronze([*range(7)], [*SENT, b"{}"])),
    ),
    "a row is nowhere": (
        "I2: 1 rows of bronze stand nowhere, 0",
        lambda root: put(root, "silver.purchases_quarantine", purchases([])),
    ),
    "a row is accepted and refused": (
        "I2: 0 rows of bronze stand nowhere, 1",
        lambda root: put(root, "silver.purchases_quarantine", purchases([4, 5])),
    ),
    "an event counts twice": (
        "I2: silver.purchases holds 1 events twice",
        lambda root: put(root, "silver.purchases", purchases([*ACCEPTED, 4])),
    ),
    "money drifts": (
        "I4: on 1 days",
        lambda root: put(root, "gold.sales_hourly", sales(5 * 150 + 1)),
    ),
    "a file is gone": ("I8: silver.purchases", lose_a_file),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found(whole: Path, kind: str) -> None:
    says, damage = DAMAGE[kind]
    damage(whole)
    assert any(one.startswith(says) for one in found(whole)), found(whole)


def test_money_as_a_float_is_found(whole: Path) -> None:
    shutil.rmtree(whole / "gold")
    put(whole, "gold.sales_hourly", sales(750.0, pa.float64()))
    assert "I4: gold__sales_hourly.revenue_cents is DOUBLE, no whole number" in found(whole)


def test_the_pipelines_lake_breaks_nothing(golden: tuple[Settings, ProduceResult]) -> None:
    settings, _ = golden
    assert found(Path(settings.root)) == []
