"""One warm Spark session, one Kafka broker, and one golden lake that tests copy."""

import json
import os
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from given_gold import fill_shop, shop_lake
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType
from quick_java import QUICK_JAVA
from small import SMALL

from pipelines.io.ingest import ingest
from pipelines.io.lake import open_lake
from pipelines.io.session import spark_session
from pipelines.settings import Settings, load_settings
from pipelines.sources.connection import Kafka, kafka
from pipelines.sources.dataset import Dataset, send
from pipelines.sources.produce import ProduceResult
from pipelines.table import Table
from pipelines.views.refresh import refresh

# A worker of pytest-xdist has a main module without a file, from which PySpark concludes that its
# doctests are run and ends the process when Great Expectations imports it.
if not hasattr(sys.modules["__main__"], "__file__"):
    sys.modules["__main__"].__file__ = pytest.__file__

Event = Mapping[str, Any]
Ingest = Callable[[Settings, Sequence[Event | bytes]], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take minutes, or one process waits for the other at the end."""
    items.sort(key=lambda item: item.path.parent.name != "e2e")


@pytest.fixture(scope="session")
def session_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("session")


@pytest.fixture(scope="session")
def spark(session_root: Path) -> SparkSession:
    return spark_session(load_settings(overrides={**SMALL, "root": str(session_root)}))


@pytest.fixture(scope="session")
def broker(session_root: Path) -> Iterator[Kafka]:
    """A real Kafka broker; tests tell themselves apart by topic."""
    settings = load_settings(overrides={**SMALL, "root": str(session_root / "kafka")})
    with ExitStack() as until_done:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JAVA_TOOL_OPTIONS", QUICK_JAVA)
            running = until_done.enter_context(kafka(settings))
        yield running


@pytest.fixture
def rows(spark: SparkSession) -> Callable[[Table, Iterable[Event]], DataFrame]:
    """Rows of a table from the columns that a test is about; the others are null."""

    def make(table: Table, given: Iterable[Event]) -> DataFrame:
        schema = StructType.fromDDL(" ".join(table.schema.replace("NOT NULL", "").split()))
        padded = [[row.get(field.name) for field in schema] for row in given]
        return spark.createDataFrame(padded, schema)

    return make


@pytest.fixture
def lake(tmp_path: Path) -> Settings:
    """An empty lake that takes its events from files in its folder `landing`."""
    root = tmp_path / "lake"
    settings = load_settings(overrides={**SMALL, "root": str(root), "source.kind": "files"})
    open_lake(settings, create=True)
    (root / "landing").mkdir()
    return settings


@pytest.fixture
def take_in(spark: SparkSession) -> Ingest:
    """Let events land as one file of the lake and take them in."""

    def run(settings: Settings, events: Sequence[Event | bytes]) -> None:
        lines = [e if isinstance(e, bytes) else json.dumps(e).encode() for e in events]
        landing = Path(settings.root) / "landing"
        (landing / f"{len(list(landing.iterdir())):05}.jsonl").write_bytes(
            b"\n".join(lines) + b"\n"
        )
        ingest(spark, settings, lambda stage, count: None)

    return run


@pytest.fixture(scope="session")
def golden(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Settings, ProduceResult]:
    """A lake of some 5,000 events of the real data, through Kafka, with all views refreshed.

    The processes of a run share it: the first that asks builds it, which takes a minute.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    note = shared / "golden.json"
    with FileLock(shared / "golden.lock"):
        if not note.exists():
            spark, broker = map(request.getfixturevalue, ("spark", "broker"))
            settings, sent = _build_golden(spark, broker, shared / "golden")
            note.write_text(json.dumps([settings.model_dump(mode="json"), asdict(sent)]))
    settings, sent = json.loads(note.read_text())
    return Settings.model_validate(settings), ProduceResult(**sent)


def _build_golden(spark: SparkSession, broker: Kafka, root: Path) -> tuple[Settings, ProduceResult]:
    from pipelines.sources import completejourney

    settings = _with_broker(load_settings(overrides={**SMALL, "root": str(root)}), broker, "golden")
    open_lake(settings, create=True)
    dataset = Dataset("sample", "golden", lambda: completejourney.events(limit=5000))
    sent = send(dataset, Kafka(settings, broker.check_alive), rate=None, progress=lambda _: None)
    ingest(spark, settings, lambda stage, count: None)
    refresh(spark, settings)
    return settings, sent


@pytest.fixture
def golden_lake(golden: tuple[Settings, ProduceResult], tmp_path: Path) -> Settings:
    """A copy of the golden lake that a test may change."""
    settings, _ = golden
    root = tmp_path / "lake"
    shutil.copytree(settings.root, root)
    return settings.model_copy(update={"root": str(root)})


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A small lake whose gold views are filled without Spark."""
    settings = shop_lake(tmp_path_factory.mktemp("shop") / "lake")
    fill_shop(settings)
    return settings


@pytest.fixture
def shop(filled: Settings, tmp_path: Path) -> Settings:
    """A copy of the shop that a test may change."""
    root = shutil.copytree(filled.root, tmp_path / "lake")
    return filled.model_copy(update={"root": str(root)})


@pytest.fixture
def kafka_lake(broker: Kafka, tmp_path: Path) -> Settings:
    """An empty lake on a Kafka topic of its own, which does not exist yet."""
    settings = load_settings(overrides={**SMALL, "root": str(tmp_path / "lake")})
    open_lake(settings, create=True)
    return _with_broker(settings, broker, f"topic-{uuid.uuid4()}")


def _with_broker(settings: Settings, broker: Kafka, topic: str) -> Settings:
    servers = broker.settings.source.kafka.bootstrap_servers
    own = settings.source.kafka.model_copy(update={"bootstrap_servers": servers, "topic": topic})
    return settings.model_copy(update={"source": settings.source.model_copy(update={"kafka": own})})
