"""silver.inventory_changes: stock that came or went other than by a sale."""

from expect import assert_rows

from pipelines.silver.inventory_changes import INVENTORY_CHANGES, inventory_changes


def test_a_movement_keeps_its_sign(rows) -> None:
    given = [
        {"event_id": "received", "delta_quantity": 10},
        {"event_id": "lost", "delta_quantity": -3},
    ]
    made = inventory_changes(rows(INVENTORY_CHANGES, given))
    assert tuple(made.columns) == INVENTORY_CHANGES.columns
    assert_rows(made, given)


def test_a_movement_of_unknown_or_absurd_size_is_refused(refused) -> None:
    given = [
        {"event_id": "nothing", "delta_quantity": 0},
        {"event_id": "unknown", "delta_quantity": None},
        {"event_id": "absurd", "delta_quantity": 1_000_000_001},
        {"event_id": "absurd loss", "delta_quantity": -1_000_000_001},
    ]
    assert refused(INVENTORY_CHANGES, given, about=["delta_quantity"]) == {
        "unknown": ["delta_quantity_missing"],
        "absurd": ["delta_quantity_out_of_range"],
        "absurd loss": ["delta_quantity_out_of_range"],
    }
