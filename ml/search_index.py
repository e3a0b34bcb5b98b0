"""Writes a search index as it is published: the catalogue's text, and plain arrays beside it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import ModelError
from serving.search_files import save_arrays, seal
from serving.search_ranking import Floats, Ints
from serving.search_text import write_text

PRICE_STEPS = (0.2, 0.4, 0.6, 0.8)  # quantiles of the catalogue's prices, where ranges meet


@dataclass(frozen=True)
class Material:
    """What an index is made of.

    Attributes:
        items: item_id, title, category, brand, price_cents, currency, purchases, popularity; the
            last four null where unknown.
        tastes: customer_id, item_id, baskets, recent.
    """

    items: pa.Table
    tastes: pa.Table

    def popular_first(self) -> pa.Table:
        """The items in the order of their rows."""
        known = self.items.set_column(
            self.items.schema.get_field_index("popularity"),
            "popularity",
            pc.fill_null(self.items["popularity"], 0.0),
        )
        return known.sort_by([("popularity", "descending"), ("item_id", "ascending")])


def write_index(folder: Path, material: Material, weights: Floats, language: str) -> str:
    """Write the index into a new folder and seal it; returns its digest.

    Raises:
        ModelError: no item has a title with a letter or a digit.
    """
    items = material.popular_first()
    readable = pc.match_substring_regex(items["title"], r"[\p{L}\p{N}]")
    if not pc.any(readable).as_py():
        raise ModelError(
            f"no title of the {len(items):,} items of silver.items has a letter or a digit;"
            " search needs words: send item_upsert events with titles"
        )
    columns = ("item_id", "title", "category", "brand", "price_cents", "currency")
    write_text(folder / "text", _rows(items.select(columns)), language)
    save_arrays(folder, _catalogue(items) | _tastes(items, material.tastes))
    facts = {
        "weights": weights.tolist(),
        "language": language,
        "items": len(items),
        "price_steps": _price_steps(items["price_cents"]),
    }
    return seal(folder, facts)


def _rows(items: pa.Table) -> Any:
    return (row for batch in items.to_batches(8192) for row in batch.to_pylist())


def _catalogue(items: pa.Table) -> dict[str, Any]:
    """The arrays of `serving.search_ranking.Catalogue`; a share is that of purchases + 1."""
    purchases = pc.fill_null(items["purchases"], 0.0).to_numpy() + 1.0
    category = _codes(items["category"])
    brand = _codes(items["brand"])
    brand = np.unique(category * (brand.max() + 1) + brand, return_inverse=True)[1]
    of_category, of_brand = (np.bincount(codes, purchases) for codes in (category, brand))
    return {
        "popularity": items["popularity"].to_numpy(),
        "category": category,
        "brand": brand.astype(np.int64),
        "category_share": of_category[category] / purchases.sum(),
        "brand_share": of_brand[brand] / of_category[category],
    }


def _codes(values: pa.ChunkedArray) -> Ints:
    """A number for each value; null is one of them."""
    encoded = values.combine_chunks().dictionary_encode(null_encoding="encode")
    codes: Ints = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes


def _tastes(items: pa.Table, tastes: pa.Table) -> dict[str, Any]:
    """Customers in the order of their bytes, and for each a slice of item rows, ascending."""
    row = pc.index_in(tastes["item_id"], items["item_id"].combine_chunks())
    known = tastes.append_column("row", row).filter(pc.is_valid(row))
    ids = pc.cast(known["customer_id"], pa.binary()).to_numpy(zero_copy_only=False).astype(bytes)
    customers, customer = np.unique(ids, return_inverse=True)
    rows = known["row"].to_numpy().astype(np.int64)
    order = np.lexsort((rows, customer))
    return {
        "customers": customers,
        "taste_starts": np.searchsorted(customer[order], np.arange(len(customers) + 1)),
        "taste_rows": rows[order],
        "taste_baskets": known["baskets"].to_numpy()[order],
        "taste_recent": known["recent"].to_numpy()[order],
    }


def _price_steps(prices: pa.ChunkedArray) -> list[int]:
    known = pc.drop_null(prices).to_numpy()
    return sorted({int(step) for step in np.quantile(known, PRICE_STEPS)}) if len(known) else []
