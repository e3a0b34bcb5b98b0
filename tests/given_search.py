"""A small grocer's catalogue and its customers, as a search index is made of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ml.search_index import Material, write_index
from serving.search import SearchIndex

WEIGHTS = np.array([2.0, 1.0, 1.5, 1.0, 0.3, 0.5])
# item_id, title, category, brand, price_cents, purchases
ITEMS = [
    ("m1", "Whole Milk, 1 GA", "MILK", "Farm", 300, 50),
    ("m2", "Chocolate Milk, 1 PT", "MILK", "Farm", 150, 20),
    ("m3", "Chocolate Milk, 1 GA", "MILK", "Own", 350, 10),
    ("c1", "Milk Chocolate Bar", "CANDY", "Sweet", 120, 30),
    ("c2", "Dark Chocolate Bar", "CANDY", "Own", 110, 5),
    ("i1", "Vanilla Ice Cream, 56 OZ", "FROZEN", "Own", 499, 8),
    ("b1", "Crème Brûlée", "DESSERT", None, None, 1),
    ("a1", "Apple Sauce, 50 OZ", None, "Own", 199, 3),
]
TASTES = {"choc": {"c2": (6.0, 4.0)}, "own": {"m3": (1.0, 0.1), "i1": (2.0, 0.5), "gone": (9, 9)}}


def material(items: list[tuple[Any, ...]] = ITEMS) -> Material:
    columns = list(zip(*items, strict=True)) or [()] * 6
    kinds = [pa.string()] * 4 + [pa.int64()] * 2
    arrays = [pa.array(list(c), k) for c, k in zip(columns, kinds, strict=True)]
    bought = np.array(columns[5], dtype=float)
    table = pa.table(
        {
            **dict(
                zip(("item_id", "title", "category", "brand", "price_cents"), arrays, strict=False)
            ),
            "currency": pa.array([p and "USD" for p in columns[4]], pa.string()),
            "purchases": bought,
            "popularity": np.log1p(bought),
        }
    )
    rows = [(c, i, *n) for c, own in TASTES.items() for i, n in own.items()]
    customer, item, baskets, recent = zip(*rows, strict=True)
    tastes = pa.table(
        {
            "customer_id": list(customer),
            "item_id": list(item),
            "baskets": np.array(baskets, dtype=float),
            "recent": np.array(recent, dtype=float),
        }
    )
    return Material(table, tastes)


def small_index(folder: Path) -> SearchIndex:
    return SearchIndex(folder, write_index(folder, material(), WEIGHTS, "english"))
