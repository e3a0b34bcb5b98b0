"""The commands of the model, the API and the workflows."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show, table
from pipelines.errors import LakehouseError
from pipelines.running import settings_for, writing

BUNDLE = Path(__file__).resolve().parent.parent / "databricks.yml"


@app.command()
def train(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Train the recommender on every purchase and register it as challenger."""
    from ml.jobs import train_model
    from pipelines.io.session import spark_session

    settings = settings_for(env, root)
    with writing(settings, "model"):
        version = train_model(spark_session(settings), settings)
    show(version, as_json=as_json, text=f"version {version.version} is the challenger")


@app.command()
def evaluate(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Score the challenger on the held-out weeks, beside popularity."""
    from ml.jobs import evaluate_model
    from pipelines.io.session import spark_session

    settings = settings_for(env, root)
    with writing(settings, "model"):
        result = evaluate_model(spark_session(settings), settings)
    rows = [
        (name, *(f"{figure:.4f}" for figure in (q.ndcg, q.recall, q.coverage)))
        for name, q in (("model", result.model), ("popularity", result.popularity))
    ]
    title = f"version {result.version}, purchases new to the customer since {result.start:%Y-%m-%d}"
    columns = ("", "nDCG@10", "recall@10", "coverage")
    show(result, as_json=as_json, text=table(title, columns, rows))


@app.command()
def promote(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Make the challenger the champion if it earned it."""
    from ml.jobs import promote_model

    settings = settings_for(env, root)
    with writing(settings, "model"):
        decision = promote_model(settings)
    said = "promoted" if decision.promoted else "not promoted"
    show(decision, as_json=as_json, text=f"{said}: {decision.reason}")


@app.command()
def recommend(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Write gold.recommendations for every customer by the champion."""
    from ml.jobs import recommend_items
    from pipelines.gold.recommendations import RECOMMENDATIONS
    from pipelines.io.session import spark_session

    settings = settings_for(env, root)
    with writing(settings, RECOMMENDATIONS.name):
        count = recommend_items(spark_session(settings), settings).count()
    show({"recommendations": count}, as_json=as_json, text=f"{count:,} recommendations written")


@app.command()
def publish(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Put gold and the model's answers into the online store."""
    from ml.publish import publish as put
    from pipelines.io.session import spark_session
    from serving.lmdb_store import LmdbStore

    settings = settings_for(env, root)
    progress = Progress()
    with writing(settings, "online store") as state:
        store = LmdbStore(state / "online")
        try:
            spark = spark_session(settings)
            counts = put(spark, settings, store, lambda k, n: progress.note(f"{k}: {n:,}"))
        finally:
            store.close()
    show({"published": counts}, as_json=as_json, text=f"{sum(counts.values()):,} answers published")


@app.command()
def index(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Learn the order of search results and publish the index that the API answers from."""
    from ml.search import index_search
    from pipelines.io.session import spark_session
    from serving.lmdb_store import LmdbStore

    settings = settings_for(env, root)
    with writing(settings, "online store", "model") as state:
        store = LmdbStore(state / "online")
        try:
            done = index_search(spark_session(settings), settings, store)
        finally:
            store.close()
    text = f"{done.items:,} items and {done.customers:,} tastes published as {done.version}"
    show(done, as_json=as_json, text=f"{text}; {done.worth}")


@app.command()
def price(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Suggest prices within the guard rails of conf/, and apply them if conf/ says so."""
    from ml.pricing import price_items
    from pipelines.gold.elasticities import ELASTICITIES
    from pipelines.gold.price_suggestions import PRICE_SUGGESTIONS
    from pipelines.io.session import spark_session
    from serving.lmdb_store import LmdbStore

    settings = settings_for(env, root)
    tables = (ELASTICITIES.name, PRICE_SUGGESTIONS.name)
    with writing(settings, *tables, "model", "online store") as state:
        store = LmdbStore(state / "online")
        try:
            done = price_items(spark_session(settings), settings, store)
        finally:
            store.close()
    show(done, as_json=as_json, text=done.told)


@app.command()
def serve(
    env: Env = "local",
    root: Root = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free port.")] = None,
) -> None:
    """Answer HTTP requests from the online store until stopped."""
    from serving.server import serve as answer

    answer(settings_for(env, root), port=port)


@app.command()
def run(
    job: Annotated[str, typer.Argument(help="A job of databricks.yml.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    bundle_file: Annotated[Path, typer.Option("--bundle", help="The bundle.")] = BUNDLE,
    target: Annotated[str | None, typer.Option(help="A target of the bundle.")] = None,
) -> None:
    """Run a job of databricks.yml on this machine."""
    from datetime import UTC, datetime

    from workflows.bundle import load_bundle
    from workflows.runner import run_job

    settings = settings_for(env, root)
    lake = settings.root if "://" in settings.root else str(Path(settings.root).absolute())
    bundle = load_bundle(bundle_file, target=target, variables={"env": env, "root": lake})
    folder = settings.state / "runs" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{job}"
    progress = Progress()
    done = run_job(
        bundle, job, folder=folder, on_event=lambda t: progress.note(f"{t.key}: {t.state}")
    )
    rows = [(t.key, str(t.state), t.attempts, t.seconds, str(t.log)) for t in done.tasks]
    columns = ("task", "state", "attempts", "seconds", "log")
    show(done, as_json=as_json, text=table(f"{job}: {done.state}", columns, rows))
    if str(done.state) != "SUCCESS":
        raise LakehouseError(f"job {job} failed; its logs are in {folder}")


@app.command()
def bundle(
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="The folder; build/gold if not given.")] = None,
) -> None:
    """Write the gold views as materialized views of the Databricks pipeline in the bundle."""
    import tempfile

    from pipelines.databricks import PIPELINE_DIR, write_pipeline
    from pipelines.io.session import spark_session

    folder = out or PIPELINE_DIR
    with tempfile.TemporaryDirectory() as scratch:  # no lake is needed, only Spark's own log
        files = write_pipeline(spark_session(settings_for("local", scratch)), folder)
    text = f"{len(files)} materialized views written to {folder}"
    show({"folder": folder, "files": [file.name for file in files]}, as_json=as_json, text=text)
