"""From gold to the online store: the answers that the API gives, each kind switched at once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from ml import tracking
from ml.features import HISTORY, histories_at, lines
from ml.jobs import end_of
from ml.publish_views import Entries, grouped, of_views
from ml.shelf import served_models
from ml.similar import bought_together, similar_items
from pipelines.errors import ModelError
from pipelines.gold.recommendations import RECOMMENDATIONS
from pipelines.io.read import read, version_of
from pipelines.settings import Settings
from pipelines.silver.items import ITEMS
from pipelines.silver.purchases import PURCHASES
from serving.online import JSONValue, OnlineStore
from serving.recommender.model import STATISTICS, Codes, Floats, Model
from serving.recommender.words import AGAIN_EVERY, LIKE, WORDS

SIMILAR = 20
POPULAR = 100
VISITS = ("visits", "recent_visits", "last_visit_age", "region")

Titles = dict[str, Row]


def publish(
    spark: SparkSession,
    settings: Settings,
    store: OnlineStore,
    progress: Callable[[str, int], None] = lambda kind, entries: None,
) -> dict[str, int]:
    """Publish every kind of answer there is; returns the number of entries per kind.

    A kind's version names the gold commit or model that it shows, so publishing again what is
    already published changes nothing. Without a champion, or before its view was refreshed, a kind
    is left as it is.

    Raises:
        ModelError: there is neither a champion nor a view to publish.
    """
    champion = tracking.find_alias(settings, tracking.CHAMPION)
    kinds = of_views(spark, settings)
    if champion:
        kinds = _of_champion(spark, settings, champion) | kinds
    if not kinds:
        raise ModelError(
            "there is nothing to publish yet; run `lakehouse refresh`, or `lakehouse train`,"
            " `promote` and `recommend`"
        )
    published = {}
    for kind, (version, entries) in kinds.items():
        ttl = settings.online.ttl_s.get(kind)
        published[kind] = store.publish(
            kind,
            entries,
            version=version,
            published_at=datetime.now(UTC),
            ttl=None if ttl is None else timedelta(seconds=ttl),
        )
        progress(kind, published[kind])
    return published


def _of_champion(
    spark: SparkSession, settings: Settings, champion: tracking.Version
) -> dict[str, tuple[str, Entries]]:
    """What the champion answers: each kind's version and entries."""
    model = tracking.model_of(settings, champion, tracking.SERVED)
    version = champion.version
    items = read(spark, settings, ITEMS.name).select("item_id", "title", "category")
    titles = {row["item_id"]: row for row in items.toLocalIterator()}
    data = version_of(spark, settings, PURCHASES.name)
    rows = lines(read(spark, settings, PURCHASES.name, version=data))
    shown = f"{version}, purchases {data}"
    return {
        "recommendations": (version, _recommendations(spark, settings, items)),
        "popular": (version, _popular(model, titles)),
        "similar": (version, _similar(model, titles)),
        "together": (shown, _together(rows, model, titles)),
        "histories": (shown, _histories(rows, model)),
        "titles": (shown, _titles(model, titles)),
        "model": (version, served_models(model, settings, champion)),
    }


def _recommendations(spark: SparkSession, settings: Settings, items: DataFrame) -> Entries:
    rows = read(spark, settings, RECOMMENDATIONS.name).join(items, "item_id", "left")
    because = items.select(F.col("item_id").alias("because"), F.col("title").alias("because_title"))
    rows = rows.join(because, "because", "left")
    reason = (
        F.when(F.col("reason") == "like", F.concat(F.lit(LIKE), "because_title"))
        .when(F.col("because").isNotNull(), F.format_string(AGAIN_EVERY, "because"))
        .otherwise(F.element_at(F.create_map(*map(F.lit, sum(WORDS.items(), ()))), "reason"))
    )
    entry = F.struct(
        "rank",
        "item_id",
        "title",
        "category",
        "score",
        F.coalesce(reason, F.lit(WORDS["popular"])).alias("reason"),
    )
    yield from grouped(rows, "customer_id", entry, "items")


def _popular(model: Model, titles: Titles) -> Entries:
    lately = model.statistics[:, STATISTICS.index("two_months")]
    best = model.popular[:POPULAR]
    yield "all", {"items": _items(model, titles, best, lately[best], WORDS["popular"])}


def _similar(model: Model, titles: Titles) -> Entries:
    neighbours, similarity = similar_items(model.factors, SIMILAR)
    reason = "bought by the same customers"
    for code, (near, cosine) in enumerate(zip(neighbours, similarity, strict=True)):
        items = _items(model, titles, near, cosine, reason)
        yield str(model.item_ids[code]), {"items": items}
    yield from _similar_unlearned(model, titles)


def _similar_unlearned(model: Model, titles: Titles) -> Entries:
    """Of items that few or nobody bought: what sells best in their category."""
    lately = model.statistics[:, STATISTICS.index("two_months")]
    best: dict[str, list[int]] = {}
    for code in np.argsort(-lately, kind="stable").tolist():
        of_category = best.setdefault(str(model.categories[model.category[code]]), [])
        if len(of_category) <= SIMILAR:
            of_category.append(code)
    sold = model.code_of
    for item_id, row in titles.items():
        if sold.get(item_id, model.learned) >= model.learned:
            near = [code for code in best.get(row["category"], ()) if code != sold.get(item_id)]
            codes = np.array(near[:SIMILAR], np.int32)
            reason = f"sells best in {row['category']}"
            yield item_id, {"items": _items(model, titles, codes, lately[codes], reason)}


def _together(rows: DataFrame, model: Model, titles: Titles) -> Entries:
    neighbours, cosines = bought_together(rows, model, SIMILAR)
    for code, (near, cosine) in enumerate(zip(neighbours, cosines, strict=True)):
        found = _items(model, titles, near[cosine > 0], cosine, "in the same baskets")
        yield str(model.item_ids[code]), {"items": found}


def _items(
    model: Model, titles: Titles, codes: Codes, scores: Floats, reason: str
) -> list[JSONValue]:
    found: list[JSONValue] = []
    for code, score in zip(codes.tolist(), scores.tolist(), strict=False):
        item_id = str(model.item_ids[code])
        row = titles.get(item_id)
        found.append(
            {
                "item_id": item_id,
                "title": row["title"] if row else None,
                "category": row["category"] if row else None,
                "score": round(score, 4),
                "reason": reason,
            }
        )
    return found


def _titles(model: Model, titles: Titles) -> Entries:
    """What the API needs to name the items that it ranks itself."""
    for item_id in model.item_ids.tolist():
        row = titles.get(item_id)
        yield item_id, {"title": row["title"], "category": row["category"]} if row else {}


def _histories(rows: DataFrame, model: Model) -> Entries:
    """Every customer's purchases by item_id, so that they outlive the numbers of a model."""
    people = histories_at(rows, end_of(rows), model.item_ids.tolist())
    table: pa.Table = people.toArrow()
    ids = model.item_ids
    for batch in table.to_batches():
        for row in batch.to_pylist():
            held = {name: [round(v, 4) for v in row[name]] for name in HISTORY[1:]}
            visits = {name: row[name] for name in VISITS}
            yield row["customer_id"], {"items": ids[row["item"]].tolist(), **held, **visits}
