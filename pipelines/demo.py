"""The main job, end to end: a year of purchases from Kafka to an answer of the HTTP API."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from pyspark.sql import SparkSession

from ml import jobs
from ml.publish import publish
from pipelines.console import Progress
from pipelines.errors import CheckError
from pipelines.io.ingest import ingest
from pipelines.io.quality import validate_tables
from pipelines.io.read import read, table_status
from pipelines.io.session import spark_session
from pipelines.memory import PeakMemory
from pipelines.registry import NAMES, QUARANTINES, SILVER_EVENTS, VIEWS
from pipelines.report.write import write_report
from pipelines.running import writing
from pipelines.settings import Settings
from pipelines.silver.dropped_events import DROPPED_EVENTS
from pipelines.sources.connection import kafka
from pipelines.sources.dataset import BUILT_IN, open_dataset, send
from pipelines.views.refresh import refresh
from serving.recommender.champion import MODELS, Champion
from serving.server import BackgroundServer
from serving.stores import store_to_write


@dataclass
class DemoResult:
    """What went in, what came out of each stage, and what it took."""

    events_produced: int = 0
    events_by_type: dict[str, int] = field(default_factory=dict)
    bronze_rows: int = 0
    silver_rows: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    duplicates: int = 0
    superseded: int = 0
    gold_rows: dict[str, int] = field(default_factory=dict)
    recommendations: int = 0
    model: dict[str, str | float] = field(default_factory=dict)
    published: dict[str, int] = field(default_factory=dict)
    answer: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    peak_rss_mb: int = 0
    report: str = ""
    data_docs: str = ""


class Demo:
    """One run of every stage; a second run in the same lake adds nothing."""

    def __init__(self, settings: Settings, *, limit: int | None, progress: Progress) -> None:
        self.settings = settings
        self.limit = limit
        self.progress = progress
        self.result = DemoResult()

    def run(self) -> DemoResult:
        """Run the stages in order.

        Raises:
            LakehouseError: a stage failed; what was done before it stays.
        """
        started = monotonic()
        others = ("model", "online store", "data docs")
        alone = writing(self.settings, *NAMES, *others, create=True)
        with PeakMemory() as memory, alone:
            self._take_in()
            spark = spark_session(self.settings)
            self._derive(spark)
            self._learn(spark)
            self._answer(spark)
            self._count(spark)
            with self._stage("report"):
                page = write_report(spark, self.settings, self.result.answer.get("customer_id"))
                self.result.report = str(page)
        self.progress.close()
        self.result.peak_rss_mb = memory.peak_mb
        self.result.seconds["total"] = round(monotonic() - started, 1)
        return self.result

    @contextmanager
    def _stage(self, name: str, *, shown: bool = True) -> Iterator[None]:
        if shown:
            self.progress.stage(name)
        started = monotonic()
        yield
        self.result.seconds[name] = round(monotonic() - started, 1)

    def _take_in(self) -> None:
        """Events into Kafka, and from there into bronze and silver."""
        dataset = open_dataset(
            BUILT_IN, map_file=None, seed=self.settings.model.seed, limit=self.limit
        )
        with ExitStack() as until_ingested:
            with self._stage("kafka broker"):
                broker = until_ingested.enter_context(kafka(self.settings))
            with self._stage("produce"):
                sent = send(dataset, broker, rate=None, progress=self.progress.rows)
            self.result.events_produced = sent.events
            self.result.events_by_type = sent.by_type
            with self._stage("spark session"):
                spark = spark_session(self.settings)
            with self._stage("ingest", shown=False):  # its streams show themselves
                ingest(spark, broker.settings, broker.watched(self.progress.of))

    def _derive(self, spark: SparkSession) -> None:
        """Silver through its checks, and into gold."""
        with self._stage("great expectations"):
            validated, page = validate_tables(spark, self.settings, SILVER_EVENTS)
        self.result.data_docs = str(page)
        if broken := [result.table for result in validated if not result.ok]:
            raise CheckError(
                f"committed rows of {', '.join(broken)} break their checks: see {page}"
            )
        with self._stage("refresh gold"):
            refresh(spark, self.settings)

    def _learn(self, spark: SparkSession) -> None:
        """A model from silver, judged on weeks that it has not seen, and what it recommends."""
        with self._stage("train"):
            version = jobs.train_model(spark, self.settings)
        with self._stage("evaluate"):
            metrics = jobs.evaluation_of(spark, self.settings, version)
        with self._stage("promote"):
            decision = jobs.promote_model(self.settings)
        self.progress.note(decision.reason)
        self.result.model = {"version": version.version, **metrics}
        with self._stage("recommend"):
            jobs.recommend_items(spark, self.settings)

    def _answer(self, spark: SparkSession) -> None:
        """Publish to the online store and ask the API about the customer who bought most."""
        store = store_to_write(self.settings)
        try:
            with self._stage("publish"):
                self.result.published = publish(spark, self.settings, store)
            customer = jobs.best_customer(spark, self.settings)
            champion = Champion(store, self.settings.state / MODELS)
            asked = BackgroundServer(store, champion=champion)
            with self._stage("ask the API"), asked as server:
                url = f"{server.url}/v1/recommendations/{customer}?k=5"
                with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310
                    self.result.answer = {"customer_id": customer, **json.load(reply)}
        finally:
            store.close()

    def _count(self, spark: SparkSession) -> None:
        names = [table.name for table in (*SILVER_EVENTS, *QUARANTINES)]
        names += ["bronze.events", "gold.recommendations", *(view.name for view in VIEWS)]
        rows = {s.name: s.rows for s in table_status(spark, self.settings, names)}
        dropped = read(spark, self.settings, DROPPED_EVENTS.name).groupBy("reason").count()
        by_reason = {row["reason"]: row["count"] for row in dropped.collect()}
        result = self.result
        result.bronze_rows = rows.get("bronze.events", 0)
        result.silver_rows = {t.short_name: rows.get(t.name, 0) for t in SILVER_EVENTS}
        result.quarantined = sum(rows.get(t.name, 0) for t in QUARANTINES)
        result.duplicates = by_reason.get("duplicate", 0)
        result.superseded = by_reason.get("superseded", 0)
        result.gold_rows = {
            view.name.removeprefix("gold."): rows.get(view.name, 0) for view in VIEWS
        }
        result.recommendations = rows.get("gold.recommendations", 0)
