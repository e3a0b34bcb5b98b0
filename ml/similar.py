"""Items like an item: by the customers who buy them, and by the baskets they lie in together."""

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from serving.recommender.model import Codes, Floats, Model

MIN_TOGETHER = 3  # baskets that two items must share to be more than chance


def bought_together(rows: DataFrame, model: Model, top_k: int) -> tuple[Codes, Floats]:
    """The learned items that lie most in the same baskets, by the cosine of their baskets.

    Args:
        rows: `ml.features.lines`.

    Returns:
        Item numbers and cosines, both (learned, top_k), the nearest first; cosine 0 is no item.
    """
    ids = pa.table({"item_id": model.item_ids[: model.learned].tolist()})
    numbers = rows.sparkSession.createDataFrame(
        ids.append_column("item", pa.array(range(model.learned), pa.int32()))
    )
    held: pa.Table = (
        rows.join(F.broadcast(numbers), "item_id", "inner").select("basket_id", "item").toArrow()
    )
    basket = held["basket_id"].combine_chunks().dictionary_encode()
    cells = (basket.indices.to_numpy(), held["item"].to_numpy())
    shape = (len(basket.dictionary), model.learned)
    lies_in = sp.csr_matrix((np.ones(len(held), np.float32), cells), shape)
    both = (lies_in.T @ lies_in).tocsr()
    count = both.diagonal()
    both.setdiag(0)
    both.data[both.data < MIN_TOGETHER] = 0
    scale = sp.diags(1 / np.sqrt(np.maximum(count, 1)))
    return _largest((scale @ both @ scale).tocsr(), top_k)


def _largest(similar: sp.csr_matrix, top_k: int) -> tuple[Codes, Floats]:
    near = np.zeros((similar.shape[0], top_k), np.int32)
    cosine = np.zeros((similar.shape[0], top_k), np.float32)
    for row, (start, end) in enumerate(zip(similar.indptr, similar.indptr[1:], strict=False)):
        values = similar.data[start:end]
        best = np.argsort(-values, kind="stable")[:top_k]
        near[row, : len(best)] = similar.indices[start:end][best]
        cosine[row, : len(best)] = values[best]
    return near, cosine


def similar_items(
    factors: NDArray[np.float32], top_k: int, block: int = 512
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `top_k` nearest items of each item by cosine, itself left out.

    Args:
        factors: item factors, one row per item.
        block: rows scored at a time; 512 x 50,000 float32 take 100 MB.

    Returns:
        Row numbers and similarities, both of shape (items, top_k), the nearest first.
    """
    lengths = np.linalg.norm(factors, axis=1, keepdims=True)
    unit = factors / np.maximum(lengths, np.finfo(np.float32).tiny)
    top_k = min(top_k, len(unit) - 1)
    neighbours = np.empty((len(unit), top_k), dtype=np.int64)
    similarity = np.empty((len(unit), top_k), dtype=np.float32)
    for start in range(0, len(unit), block):
        scores = unit[start : start + block] @ unit.T
        rows = np.arange(len(scores))
        scores[rows, start + rows] = -np.inf
        best = np.argpartition(scores, -top_k, axis=1)[:, -top_k:]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        best = np.take_along_axis(best, order, axis=1)
        neighbours[start : start + block] = best
        similarity[start : start + block] = np.take_along_axis(scores, best, axis=1)
    return neighbours, similarity
