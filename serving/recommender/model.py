"""What the recommender knows once it is trained: arrays over items, and the ranker's trees."""

from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import ModelError
from serving.recommender.arrays import load_arrays, save_arrays

Floats = NDArray[np.float32]
Codes = NDArray[np.int32]
Texts = NDArray[np.str_]

# Columns of `Model.statistics`; shares are of the customers who bought anything in that time.
STATISTICS = ("customers", "week", "month", "two_months", "repeated", "age", "price")

REGIONAL = 100  # items kept per region


@dataclass(frozen=True)
class Model:
    """Everything about items; a customer's part comes with each question, as a `History`.

    Items are numbered by how many customers bought them, most first, so that the `learned` ones
    (those with neighbours and factors) come before all others.

    Attributes:
        item_ids: (items,) by number.
        category: (items,) number into `categories`.
        statistics: (items, len(STATISTICS)); age in days, price in minor units.
        region_share: (regions, items) share of the region's customers that bought it lately.
        neighbours: (learned, n) items that an item speaks for most, with `weights` of the same
            shape: the linear item-to-item model, cut to its largest entries.
        factors: (learned, rank) of the implicit ALS; `als` holds its alpha and regularisation.
        popular: (n,) what most customers bought lately, most first.
        newcomers: (n,) what was first sold lately, in the order of `popular`.
        splits, thresholds: (trees, 2^depth - 1) feature and bound of each inner node, by level.
        leaves: (trees, 2^depth) what each leaf adds to the margin.
        blend: (3,) how much the ranker's margin, the linear model and the ALS count for the order
            of what a customer never bought; see `ml.blend`.
    """

    item_ids: Texts
    category: Codes
    categories: Texts
    regions: Texts
    statistics: Floats
    region_share: Floats
    neighbours: Codes
    weights: Floats
    factors: Floats
    als: Floats
    popular: Codes
    newcomers: Codes
    splits: Codes
    thresholds: Floats
    leaves: Floats
    blend: Floats

    @property
    def learned(self) -> int:
        """How many items have neighbours and factors."""
        return len(self.neighbours)

    @cached_property
    def code_of(self) -> dict[str, int]:
        """The number of each item_id."""
        return {item: code for code, item in enumerate(self.item_ids.tolist())}

    @cached_property
    def region_of(self) -> dict[str, int]:
        """The number of each region."""
        return {region: code for code, region in enumerate(self.regions.tolist())}

    @cached_property
    def category_of(self) -> dict[str, int]:
        """The number of each category."""
        return {category: code for code, category in enumerate(self.categories.tolist())}

    @cached_property
    def regional(self) -> Codes:
        """(regions, n) what most customers of each region bought lately, most first."""
        best = np.argsort(-self.region_share, axis=1, kind="stable")[:, :REGIONAL]
        return best.astype(np.int32)

    @cached_property
    def gram(self) -> Floats:
        """factors' factors, which folding a customer in needs."""
        gram: Floats = self.factors.T @ self.factors
        return gram

    @cached_property
    def unit_factors(self) -> Floats:
        """Factors of length 1, of which the inner product is the cosine."""
        lengths = np.linalg.norm(self.factors, axis=1, keepdims=True)
        unit: Floats = self.factors / np.maximum(lengths, np.finfo(np.float32).tiny)
        return unit

    def save(self, folder: Path) -> str:
        """Write the arrays into a folder; returns the digest of all."""
        return save_arrays(
            folder, {field.name: getattr(self, field.name) for field in fields(self)}
        )


def load_model(folder: Path, digest: str | None = None) -> Model:
    """The model of a folder.

    Args:
        digest: of all of it, see `Model.save`; None: any.

    Raises:
        ModelError: it holds none, an array of it differs from its digest, or they do not fit.
    """
    arrays: dict[str, Any] = load_arrays(folder, digest)
    names = {field.name for field in fields(Model)}
    if set(arrays) != names:
        apart = ", ".join(sorted(set(arrays) ^ names))
        raise ModelError(f"{folder}: a model of another release ({apart}); train it again")
    model = Model(**arrays)
    if len(model.category) != len(model.item_ids) or len(model.factors) != model.learned:
        raise ModelError(f"{folder}: the arrays do not fit each other; train the model again")
    return model
