"""The report's charts: small frames in, Vega-Lite out; pure.

Colours are named like the page's CSS variables, `var(--accent)`; the page puts the values in when
it draws, so that one specification serves light and dark.
"""

from datetime import datetime
from typing import Any

import altair as alt
import pandas as pd

ACCENT, QUIET, PAGE, INK = "var(--accent)", "var(--quiet)", "var(--page)", "var(--ink)"
RAMP = [f"var(--ramp-{step})" for step in range(4)]
SERIES = [f"var(--series-{number})" for number in range(1, 6)]
Chart = alt.Chart | alt.LayerChart
FIT = alt.AutoSizeParams(type="fit-x", contains="padding")
BAR = 26  # height of a bar with its gap


def specification(chart: Chart) -> dict[str, Any]:
    """The chart as JSON without what every chart repeats; the page adds the theme."""
    full: dict[str, Any] = chart.properties(width="container", autosize=FIT).to_dict()
    return {key: part for key, part in full.items() if key not in ("$schema", "config")}


def heatmap(hourly: pd.DataFrame, currency: str) -> alt.Chart:
    """Columns category, hour, revenue; the largest category on top."""
    order = hourly.groupby("category")["revenue"].sum().sort_values(ascending=False).index
    chart: alt.Chart = (
        alt.Chart(hourly)
        .mark_rect(stroke=PAGE, strokeWidth=1.5, cornerRadius=3)
        .encode(
            x=alt.X(
                "hour:O",
                title="Hour of the day, UTC",
                scale=alt.Scale(domain=list(range(24))),
                axis=alt.Axis(labelAngle=0, values=list(range(0, 24, 3)), domain=False),
            ),
            y=alt.Y("category:N", title=None, sort=list(order), axis=alt.Axis(domain=False)),
            color=alt.Color(
                "revenue:Q",
                scale=alt.Scale(range=RAMP, domainMin=0),
                legend=alt.Legend(title=f"Revenue, {currency}", format="~s", gradientLength=160),
            ),
            tooltip=[
                alt.Tooltip("category:N", title="Category"),
                alt.Tooltip("hour:O", title="Hour"),
                alt.Tooltip("revenue:Q", title=currency, format=",.0f"),
            ],
        )
        .properties(height=max(BAR * len(order), 80))
    )
    return chart


def weekly_total(weekly: pd.DataFrame, currency: str) -> alt.Chart:
    """Columns week_at, category, revenue: the largest categories together, and all others."""
    parted = weekly.assign(part=weekly["category"].map(_part))
    shares = parted.groupby(["week_at", "part"])["revenue"].sum().reset_index()
    parts = ["The largest categories", "All others"]
    chart: alt.Chart = (
        alt.Chart(shares)
        .mark_area()
        .encode(
            x=_weeks(),
            y=alt.Y("revenue:Q", title=f"{currency} a week", axis=_amounts()),
            color=alt.Color(
                "part:N", title=None, scale=alt.Scale(domain=parts, range=[ACCENT, QUIET])
            ),
            order=alt.Order("part:N", sort="descending"),
            tooltip=_weekly_tooltip("part", currency),
        )
        .properties(height=170)
    )
    return chart


def _part(category: str | None) -> str:
    return "All others" if category is None else "The largest categories"


def weekly_lines(weekly: pd.DataFrame, currency: str) -> alt.Chart:
    """Columns week_at, category, revenue: one line for each of the largest categories."""
    named = weekly[weekly["category"].notna()]
    order = named.groupby("category")["revenue"].sum().sort_values(ascending=False).index
    chart: alt.Chart = (
        alt.Chart(named)
        .mark_line(strokeWidth=2, point=alt.OverlayMarkDef(size=14))
        .encode(
            x=_weeks(),
            y=alt.Y("revenue:Q", title=f"{currency} a week", axis=_amounts()),
            color=alt.Color(
                "category:N",
                title=None,
                scale=alt.Scale(domain=list(order), range=SERIES[: len(order)]),
            ),
            tooltip=_weekly_tooltip("category", currency),
        )
        .properties(height=220)
    )
    return chart


def _weeks() -> alt.X:
    axis = alt.Axis(format="%b %Y", grid=False, labelOverlap=True, tickCount="month")
    return alt.X("week_at:T", title=None, axis=axis)


def _amounts() -> alt.Axis:
    return alt.Axis(format="~s", tickCount=4, domain=False, ticks=False)


def _weekly_tooltip(name: str, currency: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(f"{name}:N", title="Category"),
        alt.Tooltip("week_at:T", title="Week of", format="%-d %b %Y"),
        alt.Tooltip("revenue:Q", title=currency, format=",.0f"),
    ]


def bars(
    rows: pd.DataFrame, value: str, title: str, text: str, tooltip: list[alt.Tooltip]
) -> alt.LayerChart:
    """Columns label, `value`, and `text` that stands at the end of each bar; in the given order."""
    base = alt.Chart(rows).encode(
        x=alt.X(
            f"{value}:Q",
            title=title,
            axis=alt.Axis(format="~s", tickCount=4, domain=False, ticks=False),
            scale=_with_room(float(rows[value].max())),
        ),
        y=_labels(),
        tooltip=tooltip,
    )
    layers = [base.mark_bar(color=ACCENT, cornerRadiusEnd=3, height=16), _at_end(base, text)]
    return alt.LayerChart(layer=layers, height=BAR * len(rows))


def top_sellers(rows: pd.DataFrame) -> alt.LayerChart:
    """Columns label, category, units."""
    named = rows.assign(text=rows["units"].map("{:,.0f}".format))
    tooltip = [
        alt.Tooltip("label:N", title="Item"),
        alt.Tooltip("category:N", title="Category"),
        alt.Tooltip("units:Q", title="Units", format=",.0f"),
    ]
    return bars(named, "units", "Units sold", "text", tooltip)


def stock(rows: pd.DataFrame) -> alt.LayerChart:
    """Columns label, quantity, units_per_day, days_left."""
    named = rows.assign(text=[f"{left:,.0f} left" for left in rows["quantity"]])
    tooltip = [
        alt.Tooltip("label:N", title="Item, region"),
        alt.Tooltip("quantity:Q", title="Units on hand", format=","),
        alt.Tooltip("units_per_day:Q", title="Sold a day", format=",.1f"),
        alt.Tooltip("days_left:Q", title="Days left", format=",.1f"),
    ]
    return bars(named, "days_left", "Days until it runs out", "text", tooltip)


def funnel(rows: pd.DataFrame) -> alt.LayerChart:
    """Columns label, views, purchases: a pale bar of views, purchases within it."""
    named = rows.assign(
        text=(rows["purchases"] / rows["views"]).map("{:.0%}".format),
        longest=rows[["views", "purchases"]].max(axis=1),
    )
    tooltip = [
        alt.Tooltip("label:N", title="Item"),
        alt.Tooltip("views:Q", title="Views", format=","),
        alt.Tooltip("purchases:Q", title="Purchases", format=","),
    ]
    base = alt.Chart(named).encode(y=_labels(), tooltip=tooltip)
    room = _with_room(float(named["longest"].max()))
    axis = alt.Axis(format="~s", tickCount=4, domain=False, ticks=False)
    legend = alt.Scale(domain=["Views", "Purchases"], range=[QUIET, ACCENT])

    def step(column: str, name: str, height: int) -> alt.Chart:
        chart: alt.Chart = (
            base.mark_bar(height=height, cornerRadiusEnd=3)
            .encode(
                x=alt.X(f"{column}:Q", title=None, axis=axis, scale=room),
                color=alt.Color("step:N", title=None, scale=legend),
            )
            .transform_calculate(step=f"'{name}'")
        )
        return chart

    ends = base.encode(x=alt.X("longest:Q", title=None))
    layers = [step("views", "Views", 18), step("purchases", "Purchases", 8), _at_end(ends, "text")]
    return alt.LayerChart(layer=layers, height=BAR * len(named))


def _labels() -> alt.Y:
    return alt.Y("label:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False))


def _at_end(base: alt.Chart, text: str) -> alt.Chart:
    chart: alt.Chart = base.mark_text(align="left", dx=6, color=INK).encode(text=f"{text}:N")
    return chart


def _with_room(largest: float) -> alt.Scale:
    """Room at the right for the text at the end of the longest bar."""
    return alt.Scale(domain=[0, max(largest, 1) * 1.4], nice=False)


def price_steps(
    changes: pd.DataFrame, currency: str, until: datetime, around: tuple[datetime, float, float]
) -> alt.Chart:
    """Columns occurred_at, price of one region; the last price holds until `until`.

    Args:
        around: the first instant, the lowest and the highest price of all regions, so that their
            charts can be compared.
    """
    first, low, high = around
    last = changes.iloc[[-1]].assign(occurred_at=max(until, changes["occurred_at"].max()))
    margin = (high - low) * 0.08 or high * 0.1
    domain = [str(pd.Timestamp(at).isoformat()) for at in (first, until)]
    chart: alt.Chart = (
        alt.Chart(pd.concat([changes, last]))
        .mark_line(interpolate="step-after", strokeWidth=1.8, color=ACCENT)
        .encode(
            x=alt.X(
                "occurred_at:T",
                title=None,
                scale=alt.Scale(domain=domain),
                axis=alt.Axis(format="%b", grid=False, tickCount=6, labelOverlap=True),
            ),
            y=alt.Y(
                "price:Q",
                title=currency,
                scale=alt.Scale(domain=[max(low - margin, 0), high + margin], nice=False),
                axis=alt.Axis(tickCount=3, domain=False, ticks=False),
            ),
        )
        .properties(height=90)
    )
    return chart
