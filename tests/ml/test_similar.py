"""Similar items as brute force finds them, and items that lie in the same baskets."""

from datetime import datetime

import numpy as np
from given_model import some_model
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyspark.sql import SparkSession

from ml.similar import bought_together, similar_items


def test_items_of_the_same_baskets_belong_together(spark: SparkSession) -> None:
    model = some_model()
    baskets = [[0, 1, 2]] * 6 + [[0, 3]] * 3 + [[4, 5]] * 2 + [[0, 39]] * 9
    rows = [
        ("c", f"b{number}", f"i{item}", datetime(2017, 1, 1))
        for number, items in enumerate(baskets)
        for item in items
    ]
    given_rows = spark.createDataFrame(
        rows, "customer_id STRING, basket_id STRING, item_id STRING, occurred_at TIMESTAMP"
    )
    near, cosine = bought_together(given_rows, model, 4)
    assert near.shape == cosine.shape == (30, 4)
    assert near[0][:3].tolist() == [1, 2, 3]
    assert np.allclose(cosine[0][:3], [6 / np.sqrt(18 * 6)] * 2 + [3 / np.sqrt(18 * 3)])
    assert not cosine[4].any(), "two baskets are chance"
    assert (cosine[0] > 0).sum() == 3, "i39 is no learned item"


def brute_force(factors: np.ndarray, top_k: int) -> np.ndarray:
    """The similarities of the nearest `top_k` others of each row, the nearest first."""
    lengths = np.linalg.norm(factors.astype(float), axis=1)
    found = []
    for row, one in enumerate(factors.astype(float)):
        others = [
            float(one @ other / max(lengths[row] * lengths[place], 1e-300))
            for place, other in enumerate(factors.astype(float))
            if place != row
        ]
        found.append(sorted(others, reverse=True)[:top_k])
    return np.array(found)


WHOLE = hnp.arrays(  # whole numbers, so that many items tie
    np.float32,
    st.tuples(st.integers(2, 12), st.integers(1, 3)),
    elements=st.integers(-2, 2).map(float),
)


@settings(deadline=None)
@given(factors=WHOLE, top_k=st.integers(1, 15), block=st.integers(1, 13))
def test_similar_items_are_those_of_brute_force(
    factors: np.ndarray, top_k: int, block: int
) -> None:
    neighbours, similarity = similar_items(factors, top_k, block)
    assert neighbours.shape == similarity.shape == (len(factors), min(top_k, len(factors) - 1))
    assert np.allclose(similarity, brute_force(factors, top_k), atol=1e-5)
    lengths = np.maximum(np.linalg.norm(factors, axis=1), np.finfo(np.float32).tiny)
    for row, nearest in enumerate(neighbours):
        assert row not in nearest and len(set(nearest)) == len(nearest)
        cosines = factors[nearest] @ factors[row] / lengths[row] / lengths[nearest]
        assert np.allclose(cosines, similarity[row], atol=1e-5)


def test_an_only_item_has_no_neighbours() -> None:
    neighbours, similarity = similar_items(np.ones((1, 3), dtype=np.float32), 5)
    assert neighbours.shape == similarity.shape == (1, 0)
