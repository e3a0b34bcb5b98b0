"""The commands of the lake: from events to tables, views and answers in SQL."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show, table
from pipelines.errors import CheckError
from pipelines.running import settings_for, writing

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


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
    from pipelines.io.lake import open_lake
    from pipelines.sources.connection import kafka
    from pipelines.sources.dataset import open_dataset, send

    settings = settings_for(env, root)
    dataset = open_dataset(what, map_file=map_file, seed=settings.model.seed, limit=limit)
    progress = Progress()
    open_lake(settings, create=True)  # the ledger and the broker have locks of their own
    with kafka(settings) as broker:
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
    source: Annotated[
        str | None, typer.Option(help="kafka, kinesis or files, instead of source.kind.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume-from-bronze",
            help="Go on after the newest events in bronze.",
        ),
    ] = False,
    metrics_port: Annotated[
        int | None, typer.Option(help="With --continuous: serve Prometheus metrics there.")
    ] = None,
    refreshed: Annotated[
        list[str] | None,
        typer.Option(
            "--refresh", help="With --continuous: keep a gold view up to date; repeat it, or all."
        ),
    ] = None,
) -> None:
    """Take events from the source into bronze and silver, and documents into silver."""
    from pipelines.io.documents import ingest_documents
    from pipelines.io.ingest import ingest as take_in
    from pipelines.io.session import spark_session
    from pipelines.metrics import serving_metrics
    from pipelines.registry import INGESTED
    from pipelines.sources.connection import kafka
    from pipelines.views.fresh import ingest_and_refresh, kept_fresh

    given: dict[str, object] = {"source.kind": source, "ingest.metrics_port": metrics_port}
    given |= {"ingest.refresh": refreshed}
    settings = settings_for(env, root, {k: v for k, v in given.items() if v is not None})
    progress, at = Progress(), settings.ingest
    tables = [table.name for table in INGESTED]
    tables += kept_fresh(at.refresh) if continuous else []
    with writing(settings, *tables, create=True) as state, kafka(settings) as broker:
        watched = broker.watched(progress.of)
        spark = spark_session(settings)
        if continuous:
            with serving_metrics(state, at.metrics_host, at.metrics_port):
                ingest_and_refresh(
                    spark, broker.settings, watched, resume=resume, note=progress.note
                )
            return
        result = take_in(spark, broker.settings, watched, resume=resume, note=progress.note)
        documents = ingest_documents(spark, settings, progress.of)
    progress.close()
    text = f"{result.bronze:,} events and {documents:,} documents taken in"
    show({**asdict(result), "documents": documents}, as_json=as_json, text=text)


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
    from pipelines.gold.refreshes import REFRESHES
    from pipelines.io.session import spark_session
    from pipelines.registry import views_in_order
    from pipelines.views.explain import COLUMNS, explained
    from pipelines.views.refresh import Refreshed
    from pipelines.views.refresh import refresh as bring_up_to_date

    settings = settings_for(env, root)
    chosen = views_in_order(views or ())
    progress = Progress()
    changed = () if explain else [REFRESHES.name, *(view.name for view in chosen)]
    with writing(settings, *changed):
        spark = spark_session(settings)
        if explain:
            plans = [explained(spark, settings, view, full=full) for view in chosen]
            rows = [tuple(asdict(found).values()) for found in plans]
            show({"views": plans}, as_json=as_json, text=table("plan", COLUMNS, rows))
            return
        done = bring_up_to_date(
            spark, settings, [v.name for v in chosen], full=full,
            progress=lambda r: progress.note(f"{r.view}: {r.strategy} ({r.reason})"),
        )  # fmt: skip
    cells = [tuple(asdict(result).values()) for result in done]
    columns = [field.name.replace("_", " ") for field in fields(Refreshed)]
    show({"views": done}, as_json=as_json, text=table("refreshed", columns, cells))


@app.command()
def check(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Compare what was produced, bronze, silver and gold; exit 1 if anything differs."""
    from pipelines.check import check_lake
    from pipelines.io.session import spark_session
    from pipelines.registry import NAMES

    settings = settings_for(env, root)
    progress = Progress()
    with writing(settings, *NAMES):  # it changes nothing, but what it compares must stand still
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
def validate(
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    full: Annotated[bool, typer.Option("--full", help="All rows, not only new ones.")] = False,
) -> None:
    """Run the checks as Great Expectations over what is new in silver and publish Data Docs."""
    from pipelines.io.quality import validate_tables
    from pipelines.io.session import spark_session
    from pipelines.registry import TABLES
    from pipelines.silver.quality import QUALITY

    settings = settings_for(env, root)
    checked = [table for table in TABLES if table.checks]
    with writing(settings, "data docs", QUALITY.name):
        results, page = validate_tables(spark_session(settings), settings, checked, full=full)
    cells = [
        (r.table, f"{r.from_version} to {r.to_version}", r.rows, sum(r.failures.values()))
        for r in results
    ]
    columns = ("table", "versions", "rows", "broken checks")
    broken = [(r.table, reason, n) for r in results for reason, n in r.failures.items() if n]
    show(
        {"ok": not broken, "tables": results, "data_docs": page},
        as_json=as_json,
        text=table(f"validated, see {page}", columns, cells),
    )
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
    """Ask the lake a question in SQL; without Spark, if DuckDB gives the same answer."""
    from pipelines.io.answers import answer

    settings = settings_for(env, root)

    def spark() -> "SparkSession":
        from pipelines.io.session import spark_session

        return spark_session(settings)

    found = answer(settings, sql, limit=limit, spark=spark)
    cells = [tuple(row.values()) for row in found.rows]
    title = f"{len(found.rows)} rows"
    text = table(title, found.columns, cells)
    show({"rows": found.rows, "engine": found.engine}, as_json=as_json, text=text)
