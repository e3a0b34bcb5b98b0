"""Search on a real retail year: what taste adds to text, and how fast it is beside its peers.

The weights are learned on weeks 45 to 48 with an index of the weeks before; the last four weeks
are only measured on. Each purchase in them is a query of the words of the product's type, by its
buyer; what counts is how far up the bought item stands among all 92,331.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bm25s
import numpy as np
import pyarrow as pa
import tantivy
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.measure import lake
from benchmarks.recommend_data import households
from ml.search_fit import judge, mean_rank
from ml.search_index import Material, write_index
from ml.search_learn import Shop, learn, lowest, material, opened, with_rows
from ml.search_taste import queries
from pipelines.settings import Settings
from pipelines.sources.completejourney_data import Journey
from pipelines.sources.completejourney_json import category_name, title
from serving.search import SearchIndex
from serving.search_text import Filters

TEST_WEEKS = 4
SPEED_QUERIES = 1000
RESAMPLES = 1000
SEED = 17


def retail_year(spark: SparkSession, journey: Journey) -> tuple[Shop, datetime]:
    """The Complete Journey as rows of the lake, and the instant after its last purchase."""
    lines = journey.lines
    known = [row for row in journey.products if row]
    items = pa.table(
        {
            "item_id": [str(row["product_id"]) for row in known],
            "title": [title(row) for row in known],
            "category": [category_name(row) for row in known],
            "brand": [row["brand"] for row in known],
            "json": [json.dumps({"product_type": row["product_type"]}) for row in known],
        }
    )
    item_id = pa.array(journey.product_ids.astype(str))
    bought = pa.table(
        {
            "event_id": lines.row.astype(str),
            "occurred_at": pa.array(lines.at * 1_000_000, pa.timestamp("us", tz="UTC")),
            "customer_id": journey.household_ids[lines.household].astype(str),
            "item_id": item_id.take(pa.array(lines.product)),
            "basket_id": lines.basket.astype(str),
            "price_cents": lines.price_cents,
        }
    )
    purchases = spark.createDataFrame(bought).persist()
    prices = purchases.select("item_id", "price_cents", F.lit("USD").alias("currency"))
    catalogue = spark.createDataFrame(items).withColumn("attributes", F.parse_json("json"))
    end = datetime.fromtimestamp(int(lines.at.max()) + 1, UTC).replace(tzinfo=None)
    return Shop(catalogue.persist(), purchases, lowest(prices.where("price_cents > 0"))), end


def quality(shop: Shop, end: datetime, settings: Settings) -> dict[str, float]:
    """MRR@10 of three orders on the last weeks, and the personal one's lift with its interval."""
    start = end - timedelta(weeks=TEST_WEEKS)
    before = Shop(
        shop.items, shop.purchases.where(F.col("occurred_at") < F.lit(start)), shop.prices
    )
    learned = learn(before, start, settings.search)
    made = material(before, start, settings.search)
    asked = with_rows(queries(shop.purchases, shop.items, start, end).toArrow(), made)
    with opened(made, settings.search.language) as (index, item_place):
        judged = judge(index, asked, item_place, learned.weights, learned.popular)
    rank = mean_rank(judged)
    low, high = _lift_interval(judged[:, 1], judged[:, 2])
    return {
        "queries": rank.queries,
        "mrr_text": rank.text,
        "mrr_popular": rank.popular,
        "mrr_personal": rank.personal,
        "mrr_lift": rank.personal / rank.text - 1,
        "lift_over_popular": rank.personal / rank.popular - 1,
        "lift_over_popular_low": low,
        "lift_over_popular_high": high,
    }


def speed(made: Material, texts: list[str], customers: list[str]) -> dict[str, dict[str, float]]:
    """Seconds to build and milliseconds to answer the same queries, per way."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, build in {
            "bm25s": lambda: _bm25s(made),
            "tantivy": lambda: _tantivy(made, folder / "plain"),
            "here, without a customer": lambda: _here(made, folder / "nobody", ()),
            "here, for a customer": lambda: _here(made, folder / "known", customers),
        }.items():
            started = time.perf_counter()
            ask = build()
            built = time.perf_counter() - started
            for number, text in enumerate(texts[:50]):
                ask(number, text)
            rounds = [[_ms(ask, n, text) for n, text in enumerate(texts)] for _ in range(3)]
            # The median of a query's three times: what the machine's other work adds is no query's.
            took = np.median(rounds, axis=0)
            p50, p99 = np.percentile(took, [50, 99])
            found[name] = {"build_s": built, "p50_ms": float(p50), "p99_ms": float(p99)}
    return found


def run(spark: SparkSession, settings: Settings, journey: Journey) -> dict[str, float]:
    """Print both tables; returns the figures."""
    shop, end = retail_year(spark, journey)
    figures = quality(shop, end, settings)
    made = material(shop, end, settings.search)
    drawn = queries(shop.purchases, shop.items, end - timedelta(weeks=4), end)
    asked = drawn.orderBy(F.xxhash64("event_id", F.lit(SEED))).limit(SPEED_QUERIES).toArrow()
    shop.items.unpersist()
    shop.purchases.unpersist()
    print(f"\nMRR@10 of {figures['queries']:,.0f} purchases of the last {TEST_WEEKS} weeks")
    for name in ("text", "popular", "personal"):
        print(f"  {name:28}{figures[f'mrr_{name}']:>10.4f}")
    print(
        f"  personal over text {figures['mrr_lift']:+.1%}; over text and popularity "
        f"{figures['lift_over_popular']:+.1%} "
        f"[{figures['lift_over_popular_low']:+.1%}, {figures['lift_over_popular_high']:+.1%}]"
    )
    texts, customers = asked["text"].to_pylist(), asked["customer_id"].to_pylist()
    print(
        f"\n{len(made.items):,} items, ten hits a query {'build s':>15}{'p50 ms':>9}{'p99 ms':>9}"
    )
    for name, took in speed(made, texts, customers).items():
        print(f"  {name:40}" + "".join(f"{took[k]:>9.2f}" for k in took))
        figures |= {f"{name} {key}": value for key, value in took.items()}
    print(f"search mrr_lift={figures['mrr_lift']:.3f} p99_ms={took['p99_ms']:.2f}")
    return figures


def main() -> None:
    """Search alone; `make bench-recommend` has it beside the others."""
    with lake() as (spark, settings):
        run(spark, settings, households())


def _ms(ask: Callable[[int, str], object], number: int, text: str) -> float:
    started = time.perf_counter()
    ask(number, text)
    return 1000 * (time.perf_counter() - started)


def _here(made: Material, folder: Path, customers: Iterable[str]) -> Callable[[int, str], object]:
    """Everything that the API does: reading, taste, facets, ten items."""
    weights = np.array([2.0, 1.0, 1.5, 1.0, 0.2, 0.5])
    index = SearchIndex(folder, write_index(folder, made, weights, "english"))
    who = list(customers) or [""]
    return lambda number, text: index.search(text, who[number % len(who)], Filters(), 10)


def _tantivy(made: Material, folder: Path) -> Callable[[int, str], object]:
    """The library alone, as its documentation shows it."""
    folder.mkdir()
    builder = tantivy.SchemaBuilder().add_text_field("text", tokenizer_name="en_stem")
    schema = builder.add_text_field("item_id", stored=True, tokenizer_name="raw").build()
    index = tantivy.Index(schema, path=str(folder))
    writer = index.writer()
    for item in made.items.to_pylist():
        writer.add_document(tantivy.Document(text=_text(item), item_id=item["item_id"]))
    writer.commit()
    writer.wait_merging_threads()
    index.reload()
    searcher = index.searcher()

    def ask(_: int, text: str) -> object:
        query, _errors = index.parse_query_lenient(text, ["text"])
        return [searcher.doc(address)["item_id"] for _, address in searcher.search(query, 10).hits]

    return ask


def _bm25s(made: Material) -> Callable[[int, str], object]:
    """The library alone, as its documentation shows it."""
    items = made.items.to_pylist()
    ids = [item["item_id"] for item in items]
    index = bm25s.BM25()
    index.index(bm25s.tokenize([_text(i) for i in items], show_progress=False), show_progress=False)

    def ask(_: int, text: str) -> object:
        words = bm25s.tokenize([text], show_progress=False)
        found, _scores = index.retrieve(words, k=10, show_progress=False)
        return [ids[row] for row in found[0]]

    return ask


def _text(item: dict[str, object]) -> str:
    return " ".join(str(item[name] or "") for name in ("title", "category", "brand"))


def _lift_interval(popular: np.ndarray, personal: np.ndarray) -> tuple[float, float]:
    """95 % interval of the lift by a paired bootstrap over queries."""
    rng = np.random.default_rng(SEED)
    draws = rng.integers(0, len(popular), (RESAMPLES, len(popular)), dtype=np.int32)
    lifts = [personal[draw].mean() / popular[draw].mean() - 1 for draw in draws]
    low, high = np.percentile(lifts, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
