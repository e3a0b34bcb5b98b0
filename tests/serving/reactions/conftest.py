from collections.abc import Iterator
from pathlib import Path

import pytest
from reacted import Shop
from shop import KINDS, publish

from serving.lmdb_store import LmdbStore
from serving.reactions.outbox import Outbox


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """The small shop as it is published, with nothing live yet."""
    store, outbox = LmdbStore(tmp_path / "online"), Outbox(tmp_path / "outbox.db")
    publish(store, *KINDS)
    yield Shop(store, outbox)
    store.close()
    outbox.close()
