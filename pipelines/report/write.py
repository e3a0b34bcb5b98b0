"""The demo's report: one HTML page about what the lake holds, drawn from gold and silver."""

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
import vl_convert
from pyspark.sql import SparkSession

from pipelines.errors import LakehouseError
from pipelines.io.answers import quickly
from pipelines.io.query import query
from pipelines.io.quick_types import Refused
from pipelines.io.read import exists
from pipelines.registry import QUARANTINES
from pipelines.report import queries, sections
from pipelines.report.page import Fact, Section, page
from pipelines.report.sections import Ask, Sales
from pipelines.report.text import amount, day
from pipelines.settings import Settings

# In the order of the page.
_TOPICS: dict[str, Callable[[Ask, Sales], Section]] = {
    "Revenue by hour of the day": sections.hours,
    "Revenue by week": sections.weeks,
    "Top sellers": sections.top_sellers,
    "Price history": sections.prices,
    "From view to purchase": sections.funnel,
    "Stock": sections.stock,
}


def write_report(spark: SparkSession, settings: Settings, customer_id: str | None) -> Path:
    """Write `report.html` into the lake's state folder; what the lake lacks is said there.

    Args:
        customer_id: whose purchases and recommendations to show; None leaves them out.
    """

    def ask(sql: str) -> pd.DataFrame:
        with contextlib.suppress(Refused):
            quick = quickly(settings, sql)
            frame: pd.DataFrame = quick.to_pandas(coerce_temporal_nanoseconds=True)
            return frame
        return query(spark, settings, sql).toPandas()

    tables = [table.name for table in QUARANTINES if exists(spark, settings, table.name)]
    text = report(
        ask, tables, customer_id, vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    )
    target = settings.state / "report.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target


def report(ask: Ask, quarantines: list[str], customer_id: str | None, library: str) -> str:
    """The page, from what `ask` answers; a question that fails costs its section only.

    Args:
        quarantines: the quarantine tables that exist.
        library: JavaScript that defines `vegaEmbed`.
    """
    events, buyers, items = (
        _count(ask, sql) for sql in (queries.EVENTS, queries.CUSTOMERS, queries.ITEMS)
    )
    refused = ask(queries.quarantined(quarantines)) if quarantines else pd.DataFrame()
    try:
        sold, why = sections.sales(ask), ""
    except LakehouseError as error:
        sold, why = None, f"Cannot be shown: {error}."
    shown = [
        Section(topic, missing=why)
        if sold is None
        else sections.tried(partial(make, ask, sold), topic)
        for topic, make in _TOPICS.items()
    ]
    shown.append(sections.tried(lambda: sections.quarantine(refused, events), "Quarantine"))
    if customer_id is not None:
        about = partial(sections.customer, ask, customer_id)
        shown.append(sections.tried(about, "One customer"))
    facts = [
        _fact("Events", events),
        _fact("Customers", buyers),
        _fact("Items", items),
        _fact("Quarantined", int(refused["n"].sum()) if len(refused) else 0),
    ]
    if sold is not None:
        of = f"the largest of {sold.currencies} currencies" if sold.currencies > 1 else ""
        facts[1:1] = [
            _fact("Purchases", sold.purchases),
            Fact(f"Revenue, {sold.currency}", amount(sold.revenue_cents, sold.currency), of),
        ]
        facts.append(Fact("From", day(sold.first_at), f"to {day(sold.last_at)}"))
    return page("Retail lakehouse", _lead(sold), facts, shown, library)


def _lead(sold: Sales | None) -> str:
    if sold is None:
        return "No sales have been taken in yet."
    return "What was sold, at which price, to whom, and what they may want next."


def _fact(name: str, value: int | None) -> Fact:
    return Fact(name, "n/a" if value is None else f"{value:,}")


def _count(ask: Ask, sql: str) -> int | None:
    try:
        return int(ask(sql)["n"].iloc[0])
    except LakehouseError:
        return None
