"""The table with which the demo ends."""

from rich.console import Group, RenderableType

from pipelines.console import table
from pipelines.demo import DemoResult
from pipelines.settings import Settings

_QUESTION = (
    "SELECT category, SUM(revenue_cents) / 100 AS revenue FROM gold.sales_hourly "
    "GROUP BY category ORDER BY revenue DESC"
)


def summary(settings: Settings, result: DemoResult) -> RenderableType:
    """What went in, what came out of each stage, the seconds, and what to try next."""
    rows: list[tuple[object, ...]] = [("produced", "events", result.events_produced)]
    rows += [("", kind, n) for kind, n in sorted(result.events_by_type.items())]
    rows += [("bronze", "events", result.bronze_rows)]
    rows += [("silver", name, n) for name, n in result.silver_rows.items()]
    rows += [
        ("", "quarantined", result.quarantined),
        ("", "duplicates dropped", result.duplicates),
        ("", "superseded", result.superseded),
    ]
    rows += [("gold", name, n) for name, n in result.gold_rows.items()]
    rows += [
        ("", "recommendations", result.recommendations),
        ("online store", "answers", sum(result.published.values())),
    ]
    seconds = [(stage, took) for stage, took in result.seconds.items()]
    answer = result.answer
    offers = ", ".join(str(item["title"]) for item in answer.get("items", []))
    ndcg, baseline = (
        float(result.model.get(f"{who}_ndcg", 0.0)) for who in ("model", "popularity")
    )
    at = f" --root {settings.root}" if settings.root != "lake" else ""
    lines = (
        f"\nrecommended to customer {answer.get('customer_id')}: {offers}",
        f"model version {result.model.get('version')}: nDCG@10 {ndcg:.4f} on the "
        f"purchases of the last weeks, popularity {baseline:.4f}",
        f"peak memory of all processes: {result.peak_rss_mb:,} MB",
        f"report: {result.report}",
        f"data quality: {result.data_docs}",
        "\nnext:",
        f"  .venv/bin/lakehouse check{at}",
        f'  .venv/bin/lakehouse query{at} "{_QUESTION}"',
        f"  .venv/bin/lakehouse serve{at}    then open the address that it prints",
    )
    return Group(
        table("rows", ("stage", "what", "rows"), rows),
        table("\nseconds", ("stage", "seconds"), seconds),
        "\n".join(lines).replace("[", "\\["),
    )
