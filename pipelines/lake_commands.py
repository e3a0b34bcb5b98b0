"""The commands of the lake: from events to tables, views and answers in SQL."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show, table
from pipelines.errors import CheckError
from pipelines.running import settings_for, writing


@app.command()
def demo(
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    limit: Annotated[int | None, typer.Option(min=1000, help="About this many events.")] = None,
) -> None:
    """Run the main job on a year of real purchases, from Kafka to an answer of the API."""
    from pipelines.demo import Demo
    from pipelines.demo_summary import summary

    settings = settings_for(env, root)
    result = Demo(settings, limit=limit, progress=Progress()).run()
    show(result, as_json=as_json, text=summary(settings, result))


@app.command()
def produce(
    what: Annotated[str, typer.Argument(help="complete-journey, or a file to map.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    map_file: Annotated[
        Path | None, typer.Option("--map", help="How the file's columns map.")
    ] = None,
    rate: Annotated[int | None, typer.Option(min=1, help="Events per second at most.")] = None,
    limit: Annotated[int | None, typer.Option(min=1000, help="About this many events.")] = None,
) -> None:
    """Send a data set or a file of your own to Kafka as events, each once."""
    from pipelines.sources.connection import kafka
    from pipelines.sources.dataset import open_dataset, send

    settings = settings_for(env, root)
    dataset = open_dataset(what, map_file=map_file, seed=settings.model.seed, limit=limit)
    progress = Progress()
    with writing(settings, create=True), kafka(settings) as broker:
        progress.stage(f"produce {dataset.name}")
        result = send(dataset, broker, rate=rate, progress=progress.rows)
    progress.close()
    said = "were sent before, nothing was added" if result.already else "sent"
    show(result, as_json=as_json, text=f"{result.events:,} events {said}: {result.by_type}")


@app.command()
def ingest(
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    continuous: Annotated[
        bool, typer.Option("--continuous/--available-now", help="Go on until stopped.")
    ] = False,
) -> None:
    """Take events from the source into bronze and silver."""
    from pipelines.io.ingest import ingest as take_in
    from pipelines.io.ingest import ingest_continuously
    from pipelines.io.session import spark_session
    from pipelines.sources.connection import kafka

    settings = settings_for(env, root)
    progress = Progress()
    with writing(settings, create=True), kafka(settings) as broker:
        spark = spark_session(settings)
        if continuous:
            ingest_continuously(spark, broker.settings, broker.watched(progress.of))
            return
        result = take_in(spark, broker.settings, broker.watched(progress.of))
    progress.close()
    show(result, as_json=as_json, text=f"{result.bronze:,} events taken in")


@app.command()
def refresh(
    views: Annotated[list[str] | None, typer.Argument(help="Views; all if none is named.")] = None,
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    full: Annotated[bool, typer.Option("--full", help="Recompute what is up to date too.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what would be done.")] = False,
) -> None:
    """Bring gold views up to date."""
    from pipelines.io.session import spark_session
    from pipelines.registry import views_in_order
    from pipelines.views.refresh import plan
    from pipelines.views.refresh import refresh as bring_up_to_date

    settings = settings_for(env, root)
    chosen = views_in_order(views or ())
    progress = Progress()
    with writing(settings):
        spark = spark_session(settings)
        if explain:
            plans = {v.name: plan(spark, settings, v, full=full) for v in chosen}
            rows = [(name, *how) for name, how in plans.items()]
            show(plans, as_json=as_json, text=table("plan", ("view", "strategy", "reason"), rows))
            return
        done = bring_up_to_date(
            spark, settings, [v.name for v in chosen], full=full,
            progress=lambda r: progress.note(f"{r.view}: {r.strategy} ({r.reason})"),
        )  # fmt: skip
    cells = [tuple(asdict(result).values()) for result in done]
    columns = ("view", "strategy", "reason", "rows", "seconds")
    show({"views": done}, as_json=as_json, text=table("refreshed", columns, cells))


@app.command()
def check(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Compare what was produced, bronze, silver and gold; exit 1 if anything differs."""
    from pipelines.check import check_lake
    from pipelines.io.session import spark_session

    settings = settings_for(env, root)
    progress = Progress()
    with writing(settings):
        findings = check_lake(
            spark_session(settings),
            settings,
            lambda f: progress.note(f"{'ok   ' if f.ok else 'WRONG'} {f.name}: {f.detail}"),
        )
    wrong = [finding.name for finding in findings if not finding.ok]
    show(
        {"ok": not wrong, "checks": findings}, as_json=as_json, text="" if wrong else "all is well"
    )
    if wrong:
        raise CheckError(f"the lake differs: {', '.join(wrong)}; see the lines above")


@app.command()
def validate(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Run the checks as Great Expectations over silver and publish Data Docs."""
    from pipelines.io.quality import validate_tables
    from pipelines.io.session import spark_session
    from pipelines.registry import SILVER_EVENTS

    settings = settings_for(env, root)
    with writing(settings):
        results, page = validate_tables(spark_session(settings), settings, SILVER_EVENTS)
    broken = [(r.table, reason, n) for r in results for reason, n in r.failures.items() if n]
    show({"ok": not broken, "tables": results, "data_docs": page}, as_json=as_json, text=str(page))
    if broken:
        raise CheckError(f"committed rows break their checks: {broken}; see {page}")


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT, e.g. over gold.sales_hourly.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 100,
) -> None:
    """Ask the lake a question in SQL."""
    from pipelines.io.lake import open_lake
    from pipelines.io.query import query as ask
    from pipelines.io.session import spark_session

    settings = settings_for(env, root)
    open_lake(settings)
    rows = ask(spark_session(settings), settings, sql).limit(limit)
    found = [row.asDict(recursive=True) for row in rows.collect()]
    cells = [tuple(row.values()) for row in found]
    show({"rows": found}, as_json=as_json, text=table(f"{len(found)} rows", rows.columns, cells))


@app.command()
def status(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Rows and version of every table."""
    from pipelines.io.lake import open_lake
    from pipelines.io.read import table_status
    from pipelines.io.session import spark_session
    from pipelines.registry import TABLES, VIEWS

    settings = settings_for(env, root)
    open_lake(settings)
    names = [table.name for table in TABLES] + [view.name for view in VIEWS]
    found = table_status(spark_session(settings), settings, names)
    cells = [(s.name, s.rows, s.version, s.changed_at) for s in found]
    columns = ("table", "rows", "version", "changed at (UTC)")
    show({"tables": found}, as_json=as_json, text=table(settings.root, columns, cells))
