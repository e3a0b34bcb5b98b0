"""What each chart shows, in one sentence computed from its data; pure."""

import pandas as pd

from pipelines.report.text import count, day, number, price, readable


def busiest_hours(hourly: pd.DataFrame) -> str:
    """Of columns category, hour, revenue: when the largest category earns most."""
    largest = str(hourly.groupby("category")["revenue"].sum().idxmax())
    mine = hourly[hourly["category"] == largest].groupby("hour")["revenue"].sum()
    around = mine.reindex(range(24), fill_value=0).rolling(3).sum()
    end = int(around.to_numpy()[2:].argmax()) + 3
    return f"Most revenue comes from {readable(largest)}, above all between {end - 3} and {end} h"


def best_week(weekly: pd.DataFrame, currency: str) -> str:
    """Of columns week_at, revenue."""
    totals = weekly.groupby("week_at")["revenue"].sum()
    best = pd.Timestamp(str(totals.idxmax()))
    above = totals.max() / totals.median() - 1 if totals.median() else 0.0
    return (
        f"The week of {day(best)} earned most: {totals.max():,.0f} {currency}, "
        f"{above:.0%} above the middle week"
    )


def best_seller(rows: pd.DataFrame) -> str:
    """Of columns label, units, the best first."""
    first = rows.iloc[0]
    lead = f"{first['label']} sold best in the last week: {count(first['units'], 'unit')}"
    if len(rows) == 1:
        return lead
    return f"{lead}, {first['units'] / rows.iloc[1]['units']:.1f} times as many as the next"


def price_swings(title: str, changes: int, history: pd.DataFrame, currency: str) -> str:
    """Of column price_cents."""
    low, high = history["price_cents"].min(), history["price_cents"].max()
    return (
        f"{title} changed price {count(changes, 'time')}, "
        f"between {price(low, currency)} and {price(high, currency)}"
    )


def best_converting(rows: pd.DataFrame) -> str:
    """Of columns label, views, purchases."""
    rate = rows["purchases"] / rows["views"] * 100
    best = int(rate.to_numpy().argmax())
    return (
        f"Of the items viewed most, {rows['label'].iloc[best]} sells best: "
        f"{round(float(rate.iloc[best]))} purchases per 100 views"
    )


def first_to_run_out(rows: pd.DataFrame) -> str:
    """Of columns label, quantity, units_per_day, out_of_stock, the closest to empty first."""
    first, empty = rows.iloc[0], int(rows["out_of_stock"].iloc[0])
    lead = f"{count(empty, 'good seller')} out of stock, next " if empty else "Next out of stock: "
    return (
        f"{lead}{first['label']}: {number(first['quantity'])} left, "
        f"{number(first['units_per_day'])} sold a day"
    )


def refused(rows: pd.DataFrame, events: int | None) -> str:
    """Of columns table_name, reasons, n, the most frequent first."""
    total = int(rows["n"].sum())
    of = f" of {events:,}" if events else ""
    verb = "was" if total == 1 else "were"
    return f"{total:,}{of} events {verb} refused, most often for {rows.iloc[0]['reasons']}"


def habit(customer: str, bought: pd.DataFrame, offered: pd.DataFrame) -> str:
    """Of column title in both, the best first."""
    parts = []
    if len(bought):
        title, times = bought.iloc[0]["label"], bought.iloc[0]["times"]
        parts.append(f"bought {title} {count(times, 'time')}")
    if len(offered):
        parts.append(f"is offered {offered.iloc[0]['label']} first")
    return f"Customer {customer} " + (" and ".join(parts) or "is not known yet")
