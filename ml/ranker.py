"""The ranker: gradient-boosted trees of Spark ML, taught on what was bought and what was not."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.ml.classification import GBTClassificationModel, GBTClassifier
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from ml.batches import histories_of
from ml.items import FEATURE_NAMES, Known
from pipelines.errors import ModelError
from pipelines.settings_sections import ModelSettings
from serving.recommender.candidates import candidates, taste_of
from serving.recommender.features import Question, features
from serving.recommender.model import Codes, Floats, Model

_SCHEMA = ", ".join(["label DOUBLE", *(f"{name} FLOAT" for name in FEATURE_NAMES)])
_ARROW = pa.schema([("label", pa.float64()), *((name, pa.float32()) for name in FEATURE_NAMES)])


def askers(known: Known, wanted: DataFrame) -> DataFrame:
    """The histories of customers who bought something, and `wanted`: the numbers of what.

    An item that the model does not know has the number -1.

    Args:
        known: fitted on nothing that is wanted.
        wanted: customer_id, item_id, each pair once.
    """
    numbered = (
        wanted.join(F.broadcast(known.numbers), "item_id", "left")
        .groupBy("customer_id")
        .agg(F.sort_array(F.collect_list(F.coalesce("item", F.lit(-1)))).alias("wanted"))
    )
    return known.histories.join(numbered, "customer_id", "inner")


def examples(asking: DataFrame, model: Model, settings: ModelSettings) -> DataFrame:
    """The candidates of `askers`, their features, and whether they were bought.

    All that were bought, and of the others the share `negatives`, the same at every run.
    """
    return asking.mapInArrow(_labelled(model, settings.negatives, settings.seed), _SCHEMA)


def _labelled(
    model: Model, share: float, seed: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def label(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            asked = batch["wanted"].to_pylist()
            tables = []
            for (customer, history), wanted in zip(histories_of(model, batch), asked, strict=True):
                taste = taste_of(model, history)
                items = candidates(model, history, taste)
                bought = np.isin(items, np.array(wanted, np.int32))
                chance = np.random.default_rng([seed, zlib.crc32(customer.encode())])
                kept = bought | (chance.random(len(items)) < share)
                table = features(Question(model, history, taste, items[kept]))
                tables.append(np.column_stack([bought[kept], table]))
            if tables:
                whole = np.vstack(tables)
                columns = [pa.array(whole[:, n], field.type) for n, field in enumerate(_ARROW)]
                yield pa.RecordBatch.from_arrays(columns, schema=_ARROW)

    return label


def fit_ranker(rows: DataFrame, settings: ModelSettings) -> GBTClassificationModel:
    """Trees that tell what was bought from what was not.

    Raises:
        ModelError: nothing was bought of what was known, or nothing else was a candidate.
    """
    vectors = (
        VectorAssembler(inputCols=list(FEATURE_NAMES), outputCol="features")
        .transform(rows)
        .select("label", "features")
        .persist()
    )
    kinds = {row["label"]: row["count"] for row in vectors.groupBy("label").count().collect()}
    if len(kinds) < 2:
        raise ModelError(
            f"the ranker needs examples of both kinds and has {kinds}; ingest more weeks of"
            " purchases or lower model.test_weeks"
        )
    trees = GBTClassifier(
        maxIter=settings.trees,
        maxDepth=settings.depth,
        stepSize=settings.step,
        minInstancesPerNode=20 if sum(kinds.values()) > 10_000 else 1,
        maxBins=64,
        maxMemoryInMB=512,
        seed=settings.seed,
    )
    model: GBTClassificationModel = trees.fit(vectors)
    vectors.unpersist()
    return model


def ranker_arrays(model: GBTClassificationModel, negatives: float) -> dict[str, Any]:
    """Spark's trees, each made complete: `splits`, `thresholds` and `leaves` of a `Model`.

    A node that ends early is repeated down to the last level; its splits send everything left.
    The first tree takes back that only a share of the `negatives` was seen: the odds, which are
    exp(2 margin), were too large by 1 / share.
    """
    depth = max(1, *(tree.depth for tree in model.trees))
    inner = 2**depth - 1
    count = len(model.trees)
    splits = np.zeros((count, inner), np.int32)
    thresholds = np.full((count, inner), np.inf, np.float32)
    leaves = np.zeros((count, inner + 1), np.float32)
    for row, (tree, weight) in enumerate(zip(model.trees, model.treeWeights, strict=True)):
        _fill(tree._call_java("rootNode"), 0, splits[row], thresholds[row], leaves[row])
        leaves[row] *= weight
    leaves[0] += np.float32(np.log(negatives) / 2)
    return {"splits": splits, "thresholds": thresholds, "leaves": leaves}


def _fill(node: Any, at: int, splits: Codes, thresholds: Floats, leaves: Floats) -> None:
    inner = len(splits)
    if at >= inner:
        leaves[at - inner] = node.prediction()
        return
    left = right = node
    if node.subtreeDepth():
        splits[at] = node.split().featureIndex()
        thresholds[at] = node.split().threshold()
        left, right = node.leftChild(), node.rightChild()
    _fill(left, 2 * at + 1, splits, thresholds, leaves)
    _fill(right, 2 * at + 2, splits, thresholds, leaves)
