"""Boosted trees as arrays: every tree is complete, so that all are walked at once."""

import numpy as np

from serving.recommender.model import Codes, Floats


def margins(splits: Codes, thresholds: Floats, leaves: Floats, features: Floats) -> Floats:
    """The sum of the trees' leaves for each row.

    A row goes left where its feature is at most the threshold, as in Spark ML.

    Args:
        splits: (trees, 2^depth - 1) feature of each inner node, level by level.
        thresholds: the same shape.
        leaves: (trees, 2^depth).
        features: (rows, features).
    """
    trees, inner = splits.shape
    rows = len(features)
    flat_splits, flat_thresholds = splits.ravel(), thresholds.ravel()
    flat_features = np.ascontiguousarray(features).ravel()
    row = (np.arange(rows, dtype=np.int32) * features.shape[1])[:, None]
    root = (np.arange(trees, dtype=np.int32) * inner)[None, :]
    node = np.zeros((rows, trees), np.int32)
    for _ in range(inner.bit_length()):
        at = node + root
        right = flat_features.take(flat_splits.take(at) + row) > flat_thresholds.take(at)
        node = 2 * node + 1 + right
    leaf = node - inner + np.arange(trees, dtype=np.int32) * (inner + 1)
    total: Floats = leaves.ravel().take(leaf).sum(axis=1)
    return total


def probabilities(margin: Floats) -> Floats:
    """Spark's gradient-boosted classifier: 1 / (1 + exp(-2 margin))."""
    return (1 / (1 + np.exp(-2 * margin))).astype(np.float32)
