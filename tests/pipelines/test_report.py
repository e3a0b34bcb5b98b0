"""The report: what it says, that it escapes, that it loads nothing, that it survives gaps."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pandas as pd
import pytest

from pipelines.errors import LakeError
from pipelines.report import charts, queries, sections, takeaways
from pipelines.report.page import Cells, Fact, Figure, Section, page
from pipelines.report.text import amount, count, major, price, readable, unique_labels
from pipelines.report.write import report

EVIL = "<script>alert(1)</script>"
LIBRARY = "window.vegaEmbed = () => {};"


def answers(title: str = "Milk") -> dict[str, pd.DataFrame]:
    """What a small lake answers, by a piece of the question."""
    item = {"item_id": ["1"], "title": [title], "category": ["DAIRY"]}
    days = pd.date_range("2017-01-02", periods=3, freq="7D")
    return {
        queries.EVENTS: pd.DataFrame({"n": [1_234_567]}),
        queries.CUSTOMERS: pd.DataFrame({"n": [2]}),
        queries.ITEMS: pd.DataFrame({"n": [3]}),
        queries.SALES: pd.DataFrame(
            {
                "currency": ["EUR", "USD"],
                "purchases": [10, 1],
                "revenue_cents": [123_456_700, 5],
                "first_at": [datetime(2017, 1, 2), datetime(2017, 1, 3)],
                "last_at": [datetime(2017, 1, 22), datetime(2017, 1, 4)],
            }
        ),
        "HOUR(s.hour_at)": pd.DataFrame(
            {"category": [title, title], "hour": [8, 17], "revenue_cents": [100, 900]}
        ),
        "DATE_TRUNC('WEEK'": pd.DataFrame(
            {
                "week_at": [*days, days[0]],
                "category": [title, title, title, None],
                "revenue_cents": [100, 300, 100, 50],
            }
        ),
        queries.TOP_SELLERS: pd.DataFrame({**item, "units": [7], "revenue_cents": [700]}),
        "held AS": pd.DataFrame({**item, "changes": [2]}),
        "newest": pd.DataFrame(
            {"region": ["north"] * 2, "occurred_at": days[:2], "price_cents": [199, 249]}
        ),
        queries.FUNNEL: pd.DataFrame({**item, "views": [10], "purchases": [4]}),
        "$.simulated": pd.DataFrame({"simulated": [True]}),
        queries.STOCK: pd.DataFrame(
            {
                **item,
                "region": ["north"],
                "quantity": [4],
                "units_per_day": [2.0],
                "days_left": [2.0],
                "out_of_stock": [0],
            }
        ),
        "CONCAT_WS": pd.DataFrame(
            {
                "table_name": ["silver.clicks_quarantine"],
                "reasons": ["item_id_missing"],
                "n": [5],
                "example": [f"\xff{title}".encode("latin-1")],
            }
        ),
        "AS times": pd.DataFrame({**item, "times": [3]}),
        "gold.recommendations": pd.DataFrame(
            {**item, "rank": [1], "score": [0.5], "model_version": ["1"]}
        ),
    }


def lake(known: dict[str, pd.DataFrame]) -> Callable[[str], pd.DataFrame]:
    def ask(sql: str) -> pd.DataFrame:
        for piece, rows in known.items():
            if piece in sql:
                return rows.copy()
        raise LakeError("table gold.something does not exist yet")

    return ask


def whole(title: str = "Milk", customer: str | None = "7") -> str:
    return report(lake(answers(title)), ["silver.clicks_quarantine"], customer, LIBRARY)


def specs_of(html: str) -> dict[str, Any]:
    found = re.search(r'id="charts">(.*?)</script>', html, flags=re.S)
    assert found
    specs: dict[str, Any] = json.loads(found[1])
    return specs


def test_the_page_shows_every_section() -> None:
    html = whole()
    assert "Cannot be shown" not in html
    assert html.count("<section>") == 8
    assert "1,234,567" in html
    assert "the largest of 2 currencies" in html
    assert "Milk sold best in the last week: 7 units" in html
    assert "Milk changed price 2 times, between 1.99 EUR and 2.49 EUR" in html
    assert "The clicks are simulated" in html
    assert "Customer 7 bought Milk 3 times and is offered Milk first" in html
    assert len(specs_of(html)) == html.count('role="img"') == 7


def test_text_from_the_data_is_escaped_wherever_it_stands() -> None:
    html = whole(EVIL, customer=EVIL)
    assert EVIL not in html
    assert "alert(1)" in html
    assert html.count("<script") == html.count("</script>") == 3
    assert EVIL in json.dumps(specs_of(html))  # the charts get the text as it is


def test_the_page_loads_nothing() -> None:
    html = whole()
    assert "default-src 'none'" in html
    assert not re.search(r"\b(src|href|url)\s*[=(]", html)
    assert "http://" not in html
    assert "https://" not in html


def test_the_real_library_stands_in_the_page_once_and_cannot_end_its_script() -> None:
    html = page("t", "l", [], [Section("a", "b", figures=(Figure("x", {}),))], "'</script><!--'")
    assert html.count("</script>") == 3
    assert "<!--" not in html


def test_an_empty_lake_makes_a_page() -> None:
    html = report(lake({}), [], "7", LIBRARY)
    assert "No sales have been taken in yet." in html
    assert html.count("Cannot be shown: table gold.something does not exist yet.") == 7
    assert "no event has been refused" in html
    assert "<script" not in html


def test_empty_tables_make_a_page() -> None:
    known = {piece: rows.iloc[:0] for piece, rows in answers().items()}
    known[queries.EVENTS] = known[queries.CUSTOMERS] = pd.DataFrame({"n": [0]})
    known[queries.ITEMS] = pd.DataFrame({"n": [0]})
    html = report(lake(known), ["silver.clicks_quarantine"], "7", LIBRARY)
    assert "there are no sales yet" in html


@pytest.mark.parametrize(
    "piece",
    ["HOUR(s.hour_at)", "DATE_TRUNC('WEEK'", queries.TOP_SELLERS, "held AS", queries.STOCK],
)
def test_a_missing_view_costs_its_section_only(piece: str) -> None:
    known = answers()
    del known[piece]
    html = report(lake(known), ["silver.clicks_quarantine"], None, LIBRARY)
    assert html.count("Cannot be shown") == 1
    assert html.count("<section>") == 7


def test_a_customer_is_left_out_if_none_is_named() -> None:
    assert "One customer" not in whole(customer=None)


def test_a_page_is_assembled_from_plain_parts() -> None:
    table = Cells(("Name", "n"), [("a & b", "1")], amounts=("n",), code=("Name",))
    html = page("T", "L", [Fact("x", "1", "of 2")], [Section("s", "h", tables=(table,))], "")
    assert "<td><code>a &amp; b</code></td>" in html
    assert '<td class="amount">1</td>' in html
    assert "<small>of 2</small>" in html


def test_a_chart_repeats_neither_theme_nor_schema_and_fits_its_place() -> None:
    rows = pd.DataFrame({"category": ["A"], "hour": [3], "revenue": [1.0]})
    spec = charts.specification(charts.heatmap(rows, "EUR"))
    assert spec.keys().isdisjoint({"$schema", "config"})
    assert spec["width"] == "container"


def test_a_price_holds_until_the_end_of_the_period() -> None:
    at = datetime(2017, 1, 1)
    changes = pd.DataFrame({"occurred_at": [at], "price": [2.0]})
    chart = charts.price_steps(changes, "EUR", datetime(2017, 2, 1), (at, 2.0, 2.0))
    (points,) = charts.specification(chart)["datasets"].values()
    assert [point["occurred_at"][:10] for point in points] == ["2017-01-01", "2017-02-01"]


def test_the_busiest_hours_are_a_window_of_three() -> None:
    hourly = pd.DataFrame(
        {"category": ["A", "A", "A", "B"], "hour": [16, 17, 18, 1], "revenue": [5.0, 9, 5, 1]}
    )
    assert takeaways.busiest_hours(hourly).endswith("above all between 16 and 19 h")
    early = hourly.assign(hour=[0, 0, 0, 0])
    assert takeaways.busiest_hours(early).endswith("above all between 0 and 3 h")


def test_incomplete_weeks_are_left_out() -> None:
    sold = sections.Sales("EUR", 1, 1, 1, datetime(2017, 1, 1), datetime(2017, 1, 25))
    starts = pd.date_range("2016-12-26", periods=5, freq="7D")
    kept = sections.full_weeks(pd.DataFrame({"week_at": starts, "revenue": 1.0}), sold)
    assert [f"{at:%m-%d}" for at in kept["week_at"]] == ["01-02", "01-09", "01-16"]


def test_what_is_out_of_stock_is_counted_and_the_next_is_named() -> None:
    rows = pd.DataFrame(
        {"label": ["Milk, north"], "quantity": [1], "units_per_day": [1.8], "out_of_stock": [12]}
    )
    said = takeaways.first_to_run_out(rows)
    assert said == "12 good sellers out of stock, next Milk, north: 1 left, 1.8 sold a day"


def test_numbers_and_names() -> None:
    assert amount(123_456_789, "EUR") == "1,234,568"
    assert price(1999, "JPY") == "1,999 JPY"
    assert major(1999, "KWD") == 1.999
    assert (count(1, "time"), count(2000, "time")) == ("1 time", "2,000 times")
    assert (readable("SOFT DRINKS"), readable("Déli"), readable(None)) == (
        "Soft drinks",
        "Déli",
        "n/a",
    )
    assert unique_labels(["Milk", "Milk", None], ["1", "2", "3"]) == ["Milk #1", "Milk #2", "#3"]


def test_values_cannot_leave_their_place_in_sql() -> None:
    assert queries.literal("a'b\\c") == "'a\\'b\\\\c'"
    assert queries.literal("O'; DROP") in queries.bought("O'; DROP")
