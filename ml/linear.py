"""The linear item-to-item model: ridge regression of every item on all others, in closed form.

After Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (2019): with X the customers'
tastes, G = X'X and P = (G + ridge I)^-1, the weights are B_ij = -P_ij / P_jj off the diagonal.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from serving.recommender.model import Codes, Floats

_BLOCK = 1000  # rows of weights at a time; 1000 x 6000 float32 take 24 MB


def linear_model(taste: sp.csr_matrix, ridge: float, keep: int) -> tuple[Codes, Floats]:
    """The `keep` largest weights by absolute value of each item.

    Args:
        taste: (customers, items).

    Returns:
        Item numbers and weights, both (items, keep), the largest first; where there are fewer
        items than `keep`, (items, items - 1).
    """
    customers, items = taste.shape
    keep = min(keep, max(items - 1, 0))
    near = np.empty((items, keep), np.int32)
    weight = np.empty((items, keep), np.float32)
    if not keep:
        return near, weight
    rows_of = _by_customers if customers < items else _by_items
    for start, rows in rows_of(taste.astype(np.float64), ridge):
        block = np.arange(len(rows))
        rows[block, start + block] = 0
        best = np.argpartition(-np.abs(rows), keep - 1, axis=1)[:, :keep]
        found = np.take_along_axis(rows, best, axis=1)
        order = np.argsort(-np.abs(found), axis=1, kind="stable")
        near[start + block] = np.take_along_axis(best, order, axis=1)
        weight[start + block] = np.take_along_axis(found, order, axis=1)
    return near, weight


def _by_items(taste: sp.csr_matrix, ridge: float):  # type: ignore[no-untyped-def]
    """Blocks of B by inverting items x items."""
    gram = (taste.T @ taste).toarray()
    gram[np.diag_indices(len(gram))] += ridge
    inverse = np.linalg.inv(gram)
    scale = -1 / np.diag(inverse)
    for start in range(0, len(gram), _BLOCK):
        yield start, (inverse[start : start + _BLOCK] * scale).astype(np.float32)


def _by_customers(taste: sp.csr_matrix, ridge: float):  # type: ignore[no-untyped-def]
    """The same by inverting customers x customers: ridge P = I - X'(XX' + ridge I)^-1 X."""
    gram = (taste @ taste.T).toarray()
    gram[np.diag_indices(len(gram))] += ridge
    inverse: NDArray[np.float64] = np.linalg.inv(gram)
    spread = (taste.T @ inverse).T.astype(np.float32)
    own = np.asarray(taste.multiply(spread).sum(axis=0)).ravel()
    scale = (1 / (1 - own)).astype(np.float32)
    by_item = taste.T.tocsr().astype(np.float32)
    for start in range(0, len(scale), _BLOCK):
        yield start, np.asarray(by_item[start : start + _BLOCK] @ spread) * scale
