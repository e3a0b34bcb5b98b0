"""What the producer's ledger says is compared row by row: any damage to a lake is told apart."""

import json
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from invariants import Lake
from ledger import drift_of_money, i5_stock_is_what_moved, open_ledger
from stage import held_against
from workload import Message, messages

SENT = list(messages(17, 0, 1300))
BRONZE = pa.schema(
    [
        ("source", pa.string()),
        ("source_partition", pa.int32()),
        ("source_offset", pa.int64()),
        ("payload", pa.binary()),
    ]
)
Rows = list[dict[str, Any]]


def places() -> dict[str, Rows]:
    """By table, the rows that a right pipeline would put there, each message at offset `n`."""
    found: dict[str, Rows] = defaultdict(list)
    seen: set[str] = set()
    items: dict[str, Message] = {}
    for one in SENT:
        if one.reason:
            found[one.table].append(row(one) | {"reasons": [one.reason]})
        elif one.kind == "late":
            found["silver.late_events"].append(row(one))
        elif one.event_id in seen:
            found["silver.dropped_events"].append(row(one))
        elif one.table == "silver.items":
            older = items.get(one.item_id, one)
            newest = max(one, older, key=lambda m: (m.occurred_at, m.event_id))
            if older is not one:
                beaten = older if newest is one else one
                found["silver.dropped_events"].append(row(beaten))
            items[one.item_id] = newest
            seen.add(one.event_id)
        else:
            found[one.table].append(row(one))
            seen.add(one.event_id)
    found["silver.items"] = [row(one) for one in items.values()]
    return found


def row(one: Message) -> dict[str, Any]:
    origin = {"source": "shop", "source_partition": 0, "source_offset": one.n}
    at = datetime.fromisoformat(one.occurred_at) if one.occurred_at else datetime.now(UTC)
    money = {"currency": one.currency, "amount_cents": one.cents}
    return {**origin, "event_id": one.event_id, "occurred_at": at.astimezone(UTC), **money}


def put(root: Path, name: str, rows: Rows, schema: pa.Schema | None = None) -> None:
    place = str(root / name.replace(".", "/"))
    write_deltalake(place, pa.Table.from_pylist(rows, schema), mode="overwrite")


def origins(kept: Callable[[Message], bool] = lambda _: True) -> Rows:
    return [
        {"source": "shop", "source_partition": 0, "source_offset": m.n, "payload": m.payload}
        for m in SENT
        if kept(m)
    ]


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake that is as it must be, and beside it the ledger."""
    root = tmp_path / "lake"
    put(root, "bronze.events", origins(), BRONZE)
    for name, rows in places().items():
        put(root, name, rows)
    lines = [{"sending": m.n, **m.told()} for m in SENT]
    lines += [{"acked": m.n, "partition": 0, "offset": m.n} for m in SENT]
    (tmp_path / "ledger.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    return root


def found(root: Path) -> list[str]:
    return held_against(root, root.parent / "ledger.jsonl")


def test_a_lake_that_is_as_it_must_be_breaks_nothing(lake: Path) -> None:
    assert found(lake) == []
    kinds = {one.kind for one in SENT}
    assert kinds >= {"duplicate", "conflict", "late", "bad empty"}, "too few to tell"


def lose(root: Path) -> None:
    put(root, "bronze.events", origins(lambda m: m.n != 700), BRONZE)


def repeat(root: Path) -> None:
    put(root, "bronze.events", [*origins(), *origins(lambda m: m.n == 700)], BRONZE)


def invent(root: Path) -> None:
    stranger = {"source": "shop", "source_partition": 0, "source_offset": len(SENT)}
    put(root, "bronze.events", [*origins(), stranger | {"payload": b"?"}], BRONZE)


def forget_refused(root: Path) -> None:
    put(root, "bronze.events_quarantine", places()["bronze.events_quarantine"][1:])


def take_in_late(root: Path) -> None:
    late, *rest = places()["silver.late_events"]
    put(root, "silver.late_events", rest or [late | {"source_offset": -1}])
    put(root, "silver.clicks", [*places()["silver.clicks"], late])


def refuse_for_another_reason(root: Path) -> None:
    rows = [one | {"reasons": ["other"]} for one in places()["silver.purchases_quarantine"]]
    put(root, "silver.purchases_quarantine", rows)


def count_twice(root: Path) -> None:
    rows = places()["silver.purchases"]
    put(root, "silver.purchases", [*rows, rows[0]])


DAMAGE = {
    "1 acknowledged events lost": lose,
    "1 events held twice": repeat,
    "1 payloads that nobody sent": invent,
    "must stand in bronze.events_quarantine, and stand in nowhere": forget_refused,
    "(late) must stand in silver.late_events, and stand in": take_in_late,
    "are refused for another reason": refuse_for_another_reason,
    "stand in two places, or twice in one": count_twice,
}


@pytest.mark.parametrize("said", DAMAGE)
def test_damage_is_told_apart(lake: Path, said: str) -> None:
    DAMAGE[said](lake)
    assert any(said in one for one in found(lake)), found(lake)


def test_one_cent_is_drift(lake: Path) -> None:
    def drift() -> int:
        opened = Lake(lake)
        opened.open()
        open_ledger(opened, lake.parent / "ledger.jsonl")
        return drift_of_money(opened)

    assert drift() == 0
    rows = places()["silver.purchases"]
    rows[0]["amount_cents"] += 1
    put(lake, "silver.purchases", rows)
    assert drift() == 1


def test_stock_that_is_not_what_moved_is_found(lake: Path) -> None:
    stands = {"silver.purchases", "silver.inventory_changes"}
    offsets = {one["source_offset"] for name in stands for one in places()[name]}
    units: dict[tuple[str, str], int] = defaultdict(int)
    kept = {(m.item_id, m.region) for m in SENT if m.table == "silver.inventory_changes"}
    for one in SENT:
        if one.n in offsets:
            units[one.item_id, one.region] += one.units
    levels = [
        {"item_id": item, "region": region, "quantity": count}
        for (item, region), count in units.items()
        if (item, region) in kept
    ]

    def broken() -> list[str]:
        put(lake, "gold.inventory_levels", levels)
        opened = Lake(lake)
        opened.open()
        open_ledger(opened, lake.parent / "ledger.jsonl")
        return list(i5_stock_is_what_moved(opened))

    assert broken() == []
    levels[0]["quantity"] += 1
    assert broken() == ["I5: stock of 1 items is not what was received less sold"]


def test_a_ledger_that_ends_in_a_torn_line_is_read(lake: Path) -> None:
    with (lake.parent / "ledger.jsonl").open("a") as ledger:
        ledger.write('{"sending": 5000, "dig')
    assert found(lake) == []
    assert DeltaTable(str(lake / "bronze" / "events")).version() == 0
