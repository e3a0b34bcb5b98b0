"""The report's sections: each asks its question and returns what to show."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import pandas as pd

from pipelines.errors import LakehouseError
from pipelines.report import charts, queries, takeaways
from pipelines.report.page import Cells, Figure, Section
from pipelines.report.text import major, number, readable, unique_labels

Ask = Callable[[str], pd.DataFrame]


class NoRowsError(LakehouseError):
    """What a section shows has no rows yet."""


@dataclass(frozen=True)
class Sales:
    """All sales in short; money in the currency that took most."""

    currency: str
    currencies: int
    revenue_cents: int
    purchases: int
    first_at: datetime
    last_at: datetime


def sales(ask: Ask) -> Sales:
    """The sales so far.

    Raises:
        LakehouseError: there are none.
    """
    rows = _some(ask(queries.SALES), "there are no sales yet")
    return Sales(
        currency=str(rows["currency"].iloc[0]),
        currencies=len(rows),
        revenue_cents=int(rows["revenue_cents"].iloc[0]),
        purchases=int(rows["purchases"].sum()),
        first_at=rows["first_at"].min(),
        last_at=rows["last_at"].max(),
    )


def tried(make: Callable[[], Section], topic: str) -> Section:
    """The section, or the reason why it cannot be shown."""
    try:
        return replace(make(), topic=topic)
    except LakehouseError as error:
        return Section(topic, missing=f"Cannot be shown: {error}.")


def hours(ask: Ask, sold: Sales) -> Section:
    """Revenue by hour of the day and category."""
    rows = _some(ask(queries.by_hour(sold.currency)), "no category has sales")
    rows = _in_major_units(rows, sold.currency)
    heading = takeaways.busiest_hours(rows)
    rows["category"] = rows["category"].map(readable)
    note = f"The {rows['category'].nunique()} categories with most revenue."
    return _charted(heading, charts.heatmap(rows, sold.currency), ("gold.sales_hourly",), note)


def weeks(ask: Ask, sold: Sales) -> Section:
    """Revenue per week, of all categories and of the largest."""
    rows = _some(ask(queries.by_week(sold.currency)), "no week has sales")
    rows = full_weeks(_in_major_units(rows, sold.currency), sold)
    rows["category"] = [readable(c) if c else None for c in rows["category"]]
    heading = takeaways.best_week(rows, sold.currency)
    both = (charts.weekly_total(rows, sold.currency), charts.weekly_lines(rows, sold.currency))
    captions = ("All categories", "The largest categories")
    figures = tuple(
        Figure(f"{heading}. {caption} by week.", charts.specification(chart), caption)
        for caption, chart in zip(captions, both, strict=True)
    )
    note = "Weeks begin on Monday; an incomplete first or last week is left out."
    return Section("", heading, ("gold.sales_hourly",), note, figures)


def full_weeks(weekly: pd.DataFrame, sold: Sales) -> pd.DataFrame:
    """The weeks that lie within the sales' period, give or take a day; all if they are few."""
    starts, slack = pd.to_datetime(weekly["week_at"]), pd.Timedelta(days=1)
    begun = starts >= pd.Timestamp(sold.first_at) - slack
    ended = starts + pd.Timedelta(days=7) <= pd.Timestamp(sold.last_at) + slack
    complete = weekly[begun & ended]
    return (complete if complete["week_at"].nunique() > 1 else weekly).copy()


def top_sellers(ask: Ask, _: Sales) -> Section:
    """What sold most units in the last week."""
    rows = _labelled(_some(ask(queries.TOP_SELLERS), "nothing was sold in the last week"))
    rows["category"] = rows["category"].map(readable)
    note = "Goods sold for less than a cent a unit, such as metered fuel, are left out."
    chart = charts.top_sellers(rows)
    return _charted(takeaways.best_seller(rows), chart, ("gold.top_sellers", "silver.items"), note)


def prices(ask: Ask, sold: Sales) -> Section:
    """The price history of one item, region by region."""
    item = _some(ask(queries.telling_item(sold.currency)), "no price has changed yet").iloc[0]
    history = ask(queries.price_history(str(item["item_id"]), sold.currency))
    history["price"] = [major(cents, sold.currency) for cents in history["price_cents"]]
    title = unique_labels([item["title"]], [item["item_id"]])[0]
    around = (history["occurred_at"].min(), history["price"].min(), history["price"].max())
    heading = takeaways.price_swings(title, int(item["changes"]), history, sold.currency)
    figures = tuple(
        Figure(
            f"Prices of {title} in {region}: {len(changes)} changes.",
            charts.specification(charts.price_steps(changes, sold.currency, sold.last_at, around)),
            str(region),
        )
        for region, changes in history.groupby("region")
    )
    note = (
        "Shelf prices in the regions where they changed most. Chosen among the often sold items "
        "for many and lasting changes between few prices."
    )
    return Section("", heading, ("silver.price_changes", "gold.item_funnel"), note, figures)


def funnel(ask: Ask, _: Sales) -> Section:
    """Views and purchases of the items that are viewed most."""
    rows = _labelled(_some(ask(queries.FUNNEL), "no item has been viewed yet"))
    note = "In percent: purchases per view; an item can be bought without one."
    if _is_simulated(ask, "silver.clicks"):
        note = f"The clicks are simulated, the purchases are not. {note}"
    chart = charts.funnel(rows)
    return _charted(takeaways.best_converting(rows), chart, ("gold.item_funnel",), note)


def stock(ask: Ask, _: Sales) -> Section:
    """Good sellers that are closest to running out."""
    rows = _some(ask(queries.STOCK), "no good seller has stock on record")
    titles = [
        f"{title or item}, {region}"
        for title, item, region in zip(rows["title"], rows["item_id"], rows["region"], strict=True)
    ]
    rows["label"] = unique_labels(titles, rows["item_id"])
    note = (
        f"Among the 200 best sellers of a region; rates are of the last {queries.RECENT_DAYS} days."
    )
    if _is_simulated(ask, "silver.inventory_changes"):
        note = f"Deliveries are simulated. {note}"
    chart = charts.stock(rows)
    sources = ("gold.inventory_levels", "silver.purchases")
    return _charted(takeaways.first_to_run_out(rows), chart, sources, note)


def quarantine(refused: pd.DataFrame, events: int | None) -> Section:
    """What was refused, by table and reason, each with an example."""
    rows = _some(refused, "no event has been refused")
    shown = rows.head(30)
    cells = Cells(
        columns=("Table", "Reasons", "Events", "First payload"),
        rows=[
            (table, reasons, number(n), _text(example))
            for table, reasons, n, example in zip(
                *(shown[c] for c in ("table_name", "reasons", "n", "example")), strict=True
            )
        ],
        amounts=("Events",),
        code=("First payload",),
    )
    sources = tuple(dict.fromkeys(str(name) for name in rows["table_name"]))
    note = "Nothing is lost: each is kept byte for byte, with all its reasons."
    return Section("", takeaways.refused(rows, events), sources, note, tables=(cells,))


def customer(ask: Ask, customer_id: str) -> Section:
    """A customer's habits beside what is recommended."""
    bought = _labelled(ask(queries.bought(customer_id)))
    offered = _labelled(ask(queries.recommended(customer_id)))
    if bought.empty and offered.empty:
        raise NoRowsError(f"customer {customer_id} has neither purchases nor recommendations")
    habits = Cells(
        columns=("Item", "Category", "Times"),
        rows=[
            (label, readable(category), number(times))
            for label, category, times in bought[["label", "category", "times"]].itertuples(
                index=False
            )
        ],
        caption="Bought most often",
        amounts=("Times",),
    )
    offers = Cells(
        columns=("Rank", "Item", "Category", "Score"),
        rows=[
            (str(rank), label, readable(category), f"{score:.3f}")
            for rank, label, category, score in offered[
                ["rank", "label", "category", "score"]
            ].itertuples(index=False)
        ],
        caption="Recommended next",
        amounts=("Score",),
    )
    note = ""
    if len(offered):
        note = f"Recommended by model version {offered['model_version'].iloc[0]}."
    return Section(
        "",
        takeaways.habit(customer_id, bought, offered),
        ("silver.purchases", "gold.recommendations", "silver.items"),
        note,
        tables=(habits, offers),
    )


def _charted(
    heading: str, chart: charts.Chart, sources: tuple[str, ...], note: str = ""
) -> Section:
    figure = Figure(f"{heading}.", charts.specification(chart))
    return Section("", heading, sources, note, (figure,))


def _some(rows: pd.DataFrame, otherwise: str) -> pd.DataFrame:
    if rows.empty:
        raise NoRowsError(otherwise)
    return rows


def _in_major_units(rows: pd.DataFrame, currency: str) -> pd.DataFrame:
    return rows.assign(revenue=[major(cents, currency) for cents in rows["revenue_cents"]])


def _labelled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(label=unique_labels(rows["title"], rows["item_id"]))


def _is_simulated(ask: Ask, table: str) -> bool:
    return bool(ask(queries.simulated(table))["simulated"].fillna(False).any())


def _text(payload: bytes | None) -> str:
    """The start of a payload, whatever bytes it holds."""
    return bytes(payload or b"").decode("utf-8", errors="replace")
