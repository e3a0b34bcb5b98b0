"""Whatever the order in which events come, and how often: the same store."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from reacted import Shop, bought, clicked, moved, price
from shop import KINDS, publish

from serving import live_values as values
from serving.lmdb_store import LmdbStore
from serving.reactions.outbox import Outbox

KEYS = {
    values.PRICES: ("i1", "i2"),
    values.STOCK: ("i1", "i2"),
    values.SHORT: ("i1", "i2"),
    values.BOUGHT: ("c1", "c2"),
    values.TASTE: ("s:s1", "c:c1", "c:c2"),
}
FIELDS = st.fixed_dictionaries(
    {
        "item_id": st.sampled_from(["i1", "i2"]),
        "region": st.sampled_from(["north", "south"]),
        "customer_id": st.sampled_from(["c1", "c2"]),
    }
)


def made(kind: int, number: int, amount: int, fields: dict[str, Any]) -> dict[str, Any]:
    if kind == 0:
        return price(number, 100 + amount, seconds=number // 2, **fields)  # two of one time
    if kind == 1:
        return moved(number, amount - 5, **fields)
    return clicked(number, **fields) if kind == 2 else bought(number, 1 + amount, **fields)


EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), FIELDS), min_size=1, max_size=8)


def left_by(batches: list[list[dict[str, Any]]]) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        store, outbox = LmdbStore(Path(folder) / "online"), Outbox(Path(folder) / "outbox.db")
        publish(store, *KINDS)
        shop = Shop(store, outbox)
        for batch in batches:
            shop.react(*batch)
        told = {f"{kind} {key}": shop.value(kind, key) for kind in KEYS for key in KEYS[kind]}
        store.close()
        outbox.close()
        return told


@settings(max_examples=25, deadline=None)
@given(drawn=EVENTS, data=st.data())
def test_any_interleaving_with_repeats_leaves_the_same_store(drawn: Any, data: Any) -> None:
    events = [made(kind, n, amount, fields) for n, (kind, amount, fields) in enumerate(drawn)]
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))
    mixed = data.draw(st.permutations([*events, *again]))
    cut = data.draw(st.integers(0, len(mixed)))
    assert left_by([mixed[:cut], mixed[cut:]]) == left_by([events])
