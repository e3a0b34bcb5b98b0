"""The API against its own OpenAPI document: whatever is asked, no 5xx and nothing undocumented."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from given_gold import fill_shop, shop_lake
from given_model import HISTORY, release
from given_search import small_index
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.schemas import BaseSchema
from shop import AT, KINDS, publish
from test_gold import Gold

from pipelines.dashboard.panels import Panels
from pipelines.sources.connection import Kafka
from serving.lmdb_store import LmdbStore
from serving.recommender.champion import Champion
from serving.search_shelf import ENTRY, FOLDER, KIND
from serving.sender import KafkaSender
from serving.server import BackgroundServer
from serving.shared import Shared


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory, broker: Kafka) -> Iterator[BaseSchema]:
    """The document of a server that has everything: a store, an index, views and a broker."""
    root: Path = tmp_path_factory.mktemp("contract")
    store = LmdbStore(root / "online")
    publish(store, *KINDS)
    digest = small_index(root / FOLDER / "first").digest
    entry = {"folder": "first", "digest": digest}
    store.publish(KIND, [(ENTRY, entry)], version="first", published_at=AT)
    topic = {"topic": f"contract-{uuid.uuid4()}", "partitions": 1}
    sender = KafkaSender(broker.settings.source.kafka.model_copy(update=topic))
    store.publish("histories", [("c1", HISTORY)], version="1", published_at=AT)
    release(store, root / "models", "1", seed=1)
    champion = Champion(store, root / "models")
    assert champion.version == "1"
    lake = shop_lake(root / "lake")
    fill_shop(lake)
    served = BackgroundServer(
        store,
        Gold(),
        champion=champion,
        panels=Panels(lake, list),
        search_folder=root / FOLDER,
        common=Shared(sender=sender),
    )
    with served as server:
        yield schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    store.close()


def test_every_answer_is_documented_and_none_is_a_failure(document: BaseSchema) -> None:
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 10
    for operation in operations:

        @settings(
            max_examples=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Case) -> None:
            case.call_and_validate()

        ask()
