"""What an index is made of, and how the weights of its features are learned before it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.search_fit import Rank, fit, judge, mean_rank, only, wishes
from ml.search_index import Material, write_index
from ml.search_taste import popularity, queries, tastes
from pipelines.settings_sections import SearchSettings
from serving.search import SearchIndex
from serving.search_ranking import FEATURES, TEXT_AND_POPULARITY, Floats, Ints


@dataclass(frozen=True)
class Shop:
    """What search is made of, as rows of the lake.

    Attributes:
        items: silver.items.
        purchases: silver.purchases.
        prices: item_id, price_cents, currency; one row per item.
    """

    items: DataFrame
    purchases: DataFrame
    prices: DataFrame


@dataclass(frozen=True)
class Learned:
    """Weights in the order of FEATURES, those of an order that knows no customer, their worth.

    Attributes:
        rank: on the half of the customers that the weights were not learned on; None where there
            was too little to learn from, and text and popularity decide alone.
    """

    weights: Floats
    popular: Floats
    rank: Rank | None


def lowest(prices: DataFrame) -> DataFrame:
    """The lowest shelf price of an item over all regions, with its currency."""
    best = F.min(F.struct("price_cents", "currency")).alias("best")
    return prices.groupBy("item_id").agg(best).select("item_id", "best.*")


def material(shop: Shop, as_of: datetime, settings: SearchSettings) -> Material:
    """What an index is made of: the catalogue and its prices as they are, purchases of before."""
    popular = popularity(shop.purchases, as_of, settings.popularity_days)
    named = shop.items.select("item_id", "title", "category", "brand")
    items = named.join(shop.prices, "item_id", "left").join(popular, "item_id", "left")
    own = tastes(shop.purchases, as_of, settings.taste_days)
    return Material(items.toArrow(), own.toArrow())


def learn(shop: Shop, end: datetime, settings: SearchSettings) -> Learned:
    """Weights from the last weeks before `end`, on an index that knows only what came before.

    Half of the customers are learned from, the other half is measured on.
    """
    start = end - timedelta(weeks=settings.fit_weeks)
    drawn = queries(shop.purchases, shop.items, start, end)
    asked = drawn.orderBy(F.xxhash64("event_id", F.lit(settings.seed)), "event_id")
    made = material(shop, start, settings)
    with opened(made, settings.language) as (index, item_place):
        table = with_rows(asked.limit(settings.fit_queries).toArrow(), made)
        held_out = table["is_held_out"]
        seen = [one for one in wishes(index, table.filter(pc.invert(held_out))) if one is not None]
        if len(seen) < settings.min_queries:
            return Learned(TEXT_AND_POPULARITY, TEXT_AND_POPULARITY, None)
        weights = fit(seen, only(*FEATURES))
        popular = fit(seen, only("text", "popularity"))
        judged = judge(index, table.filter(held_out), item_place, weights, popular)
    return Learned(weights, popular, mean_rank(judged))


@contextmanager
def opened(made: Material, language: str) -> Iterator[tuple[SearchIndex, Ints]]:
    """An index of the material in a folder that goes away, and each row's place by item_id."""
    with TemporaryDirectory(prefix="lakehouse-search-") as scratch:
        folder = Path(scratch) / "index"
        index = SearchIndex(folder, write_index(folder, made, TEXT_AND_POPULARITY, language))
        ids = made.popular_first()["item_id"].to_numpy(zero_copy_only=False)
        yield index, np.argsort(np.argsort(ids, kind="stable"), kind="stable").astype(np.int64)


def with_rows(asked: pa.Table, made: Material) -> pa.Table:
    """Queries with the row of the bought item in an index of the material."""
    ids = made.popular_first()["item_id"].combine_chunks()
    return asked.append_column("row", pc.index_in(asked["item_id"], ids))
