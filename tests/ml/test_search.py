"""From a lake to an answer: what `lakehouse index` publishes, logs and refuses."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from given_search import WEIGHTS, material
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from ml import tracking
from ml.search import index_search, publish_index
from ml.search_learn import Learned, Shop, learn
from pipelines.errors import LakeError, ModelError
from pipelines.io.write import write
from pipelines.settings import Settings
from pipelines.silver.items import ITEMS
from pipelines.silver.price_changes import PRICE_CHANGES
from pipelines.silver.purchases import PURCHASES
from pipelines.table import Table
from pipelines.views.refresh import refresh
from serving.lmdb_store import LmdbStore
from serving.search_shelf import FOLDER, SearchShelf
from serving.search_text import Filters

Rows = Callable[[Table, list[dict[str, Any]]], DataFrame]
START = datetime(2017, 2, 1)
TEAS = [f"t{n}" for n in range(4)]
BOUGHT = [  # each customer buys one tea, always the same, every third day of 50
    {
        "event_id": f"{customer}-{visit}",
        "basket_id": f"{customer}-{visit}",
        "occurred_at": START + timedelta(days=3 * visit, minutes=customer),
        "customer_id": f"c{customer}",
        "item_id": TEAS[customer % len(TEAS)],
    }
    for customer in range(12)
    for visit in range(17)
]
ORIGIN = {"source": "s", "source_partition": 0, "source_offset": 0}
ALWAYS = {**ORIGIN, "event_id": "e", "occurred_at": START, "produced_at": START, "payload_hash": 0}


def small(settings: Settings, min_queries: int = 20) -> Settings:
    search = settings.search.model_copy(update={"min_queries": min_queries})
    return settings.model_copy(update={"search": search})


@pytest.fixture
def fill(rows: Rows, lake: Settings, spark: SparkSession) -> Callable[..., None]:
    """Write rows into a table, as they would have been taken in."""

    def put(table: Table, given: list[dict[str, Any]]) -> None:
        write(rows(table, [ALWAYS | row for row in given]), lake, table)

    return put


def test_a_lake_becomes_an_index_that_knows_its_customers(
    spark: SparkSession, lake: Settings, fill: Callable[..., None]
) -> None:
    names = [{"item_id": t, "title": f"Tea {t}", "category": "TEA", "brand": "Own"} for t in TEAS]
    fill(ITEMS, names)
    money = {"currency": "USD", "region": "north", "quantity": 1, "amount_cents": 1}
    fill(PURCHASES, [{**row, **money, "price_cents": 1} for row in BOUGHT])
    prices = [("t1", "north", 300), ("t1", "south", 250), ("t2", "north", 100)]
    fill(
        PRICE_CHANGES,
        [{**money, "item_id": i, "region": r, "price_cents": p} for i, r, p in prices],
    )
    store = LmdbStore(lake.state / "online")
    with pytest.raises(LakeError, match=r"gold\.current_prices does not exist yet"):
        index_search(spark, small(lake), store)
    refresh(spark, lake, ["current_prices"])
    done = index_search(spark, small(lake), store)
    assert (done.items, done.customers) == (4, 12)
    assert done.rank is not None and done.rank.personal == 1.0 > done.rank.popular
    index = SearchShelf(store, lake.state / FOLDER).index()
    assert index is not None and index.version == done.version
    found = index.search("tea", "c5", Filters(), 3)
    assert (found.hits[0]["item_id"], found.hits[0]["price_cents"]) == ("t1", 250)
    assert found.hits[0]["reason"] == "you bought it before"
    _run_is_logged(lake, done.weights)


def _run_is_logged(settings: Settings, weights: dict[str, float]) -> None:
    mlflow = tracking._mlflow(settings, "/Shared/retail-search")
    (run,) = mlflow.search_runs(output_format="list")
    assert run.data.metrics["mrr10_personal"] == 1.0
    versions = {f"version of {name}" for name in ("silver.purchases", "gold.current_prices")}
    assert versions | {"taste_days"} <= set(run.data.params)
    uri = run.info.artifact_uri
    assert mlflow.artifacts.load_dict(f"{uri}/learned.json") == weights
    assert "popularity" in mlflow.artifacts.load_dict(f"{uri}/signature.json")["inputs"]


def test_too_few_purchases_leave_text_and_popularity(spark: SparkSession, lake: Settings) -> None:
    items = spark.createDataFrame(
        [("a", "Tea", "TEA", "Own", "{}")],
        "item_id STRING, title STRING, category STRING, brand STRING, json STRING",
    ).withColumn("attributes", F.parse_json("json"))
    bought = spark.createDataFrame(
        [("e", START, "c1", "a", "b")],
        "event_id STRING, occurred_at TIMESTAMP, customer_id STRING, item_id STRING,"
        " basket_id STRING",
    )
    priced = spark.createDataFrame([], "item_id STRING, price_cents BIGINT, currency STRING")
    for purchases in (bought, bought.where("false")):
        learned = learn(Shop(items, purchases, priced), START + timedelta(1), lake.search)
        assert learned.rank is None and learned.weights[2:].tolist() == [0, 0, 0, 0]


def test_of_published_indexes_the_last_two_are_kept(lake: Settings) -> None:
    store, shelf = LmdbStore(lake.state / "online"), lake.state / FOLDER
    versions = [publish_index(lake, store, material(), _learned()) for _ in range(3)]
    assert len(set(versions)) == 3 and len(list(shelf.iterdir())) == 2
    index = SearchShelf(store, shelf).index()
    assert index is not None and index.version == versions[-1]
    assert index.weights.tolist() == WEIGHTS.tolist()


@pytest.mark.parametrize("titles", [[], ["--", "  "]])
def test_a_catalogue_without_text_is_refused_and_the_old_index_stays(
    lake: Settings, titles: list[str]
) -> None:
    store, shelf = LmdbStore(lake.state / "online"), lake.state / FOLDER
    good = publish_index(lake, store, material(), _learned())
    empty = material([(f"i{n}", title, "A", "B", 1, 0) for n, title in enumerate(titles)])
    with pytest.raises(
        ModelError, match=rf"no title of the {len(titles)} items .* send item_upser"
    ):
        publish_index(lake, store, empty, _learned())
    index = SearchShelf(store, shelf).index()
    assert index is not None and index.version == good
    assert len(list(shelf.iterdir())) == 1


def _learned() -> Learned:
    return Learned(WEIGHTS, np.zeros(6), None)


def test_an_index_stands_where_the_store_says(lake: Settings, tmp_path: Path) -> None:
    store = LmdbStore(lake.state / "online")
    publish_index(lake, store, material(), _learned())
    assert SearchShelf(store, tmp_path).index() is None  # named, but not there
