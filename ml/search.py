"""Search from the lake to the API: learn the weights, write the index, publish it in one step."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pyarrow.compute as pc
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from ml import tracking
from ml.search_fit import Rank
from ml.search_index import Material, write_index
from ml.search_learn import Learned, Shop, learn, lowest, material
from ml.shelf import tidy
from pipelines.io.read import read, version_of
from pipelines.settings import Settings
from pipelines.silver.items import ITEMS
from pipelines.silver.purchases import PURCHASES
from serving.online import OnlineStore
from serving.search_ranking import FEATURES
from serving.search_shelf import ENTRY, FOLDER, KIND

PRICES = "gold.current_prices"


@dataclass(frozen=True)
class Indexed:
    """A published index; `rank` is None where there was too little to learn from."""

    version: str
    items: int
    customers: int
    weights: dict[str, float]
    rank: Rank | None

    @property
    def worth(self) -> str:
        """What the customer's taste brings, in words."""
        if self.rank is None:
            return "too few purchases to learn tastes from: text and popularity decide"
        figures = f"text {self.rank.text:.4f}, with popularity {self.rank.popular:.4f}"
        return f"MRR@10 {self.rank.personal:.4f} ({figures})"


def index_search(spark: SparkSession, settings: Settings, store: OnlineStore) -> Indexed:
    """Learn the weights, log them to MLflow, write the index of all that is known, publish it.

    Raises:
        ModelError: the catalogue has no text.
        LakeError: gold.current_prices was never refreshed.
    """
    versions = {n: version_of(spark, settings, n) for n in (ITEMS.name, PURCHASES.name, PRICES)}
    items, purchases, prices = (
        read(spark, settings, name, version=version) for name, version in versions.items()
    )
    bought = purchases.select("event_id", "occurred_at", "customer_id", "item_id", "basket_id")
    shop = Shop(items, bought.persist(), lowest(prices))
    last = shop.purchases.agg(F.max("occurred_at")).collect()[0][0]
    end = (last or datetime(1970, 1, 1)) + timedelta(seconds=1)
    learned = learn(shop, end, settings.search)
    made = material(shop, end, settings.search)
    shop.purchases.unpersist()
    weights = dict(zip(FEATURES, learned.weights.tolist(), strict=True))
    _log(settings, learned, weights, versions)
    version = publish_index(settings, store, made, learned)
    customers = len(pc.unique(made.tastes["customer_id"]))
    return Indexed(version, len(made.items), customers, weights, learned.rank)


def _log(
    settings: Settings, learned: Learned, weights: dict[str, float], versions: dict[str, int]
) -> None:
    figures = asdict(learned.rank) if learned.rank else {}
    tracking.log_fit(
        settings,
        "search",
        parameters=settings.search.model_dump(),
        data_versions=versions,
        metrics={f"mrr10_{name}" if name != "queries" else name: v for name, v in figures.items()},
        learned=weights,
        inputs=dict.fromkeys(FEATURES, "double"),
        outputs={"score": "double"},
    )


def publish_index(settings: Settings, store: OnlineStore, made: Material, learned: Learned) -> str:
    """Write the index beside the others, then let the store point at it: the one switch."""
    shelf = settings.state / FOLDER
    shelf.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    digest = write_index(shelf / name, made, learned.weights, settings.search.language)
    entry = {"folder": name, "digest": digest}
    store.publish(KIND, [(ENTRY, entry)], version=digest[:16], published_at=now)
    tidy(shelf, {name}, kept=1)  # an API may still be loading the last one
    return digest[:16]
