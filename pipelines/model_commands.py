"""The commands of the model, the API and the bundle's pipeline."""

import threading
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show, table
from pipelines.errors import ModelError
from pipelines.experiment_text import experiment_text
from pipelines.running import settings_for, stop_on_signals, writing


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
    """Score the challenger on the held-out weeks, beside popularity and the champion."""
    from ml.jobs import evaluate_model
    from pipelines.io.session import spark_session
    from pipelines.io.task_values import leave_value

    settings = settings_for(env, root)
    with writing(settings, "model"):
        result = evaluate_model(spark_session(settings), settings)
    leave_value("is_better", result.model.ndcg > result.popularity.ndcg)
    rows = [
        (name, *(f"{figure:.4f}" for figure in (q.ndcg, q.recall, q.coverage)))
        for name, q in (
            ("everything bought", result.model),
            ("popularity", result.popularity),
            ("new to the customer", result.new),
        )
    ]
    title = f"version {result.version}, purchases since {result.start:%Y-%m-%d}"
    columns = ("", "nDCG@10", "recall@10", "coverage")
    show(result, as_json=as_json, text=table(title, columns, rows))


@app.command()
def promote(
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    rollback: Annotated[bool, typer.Option(help="The champion before this one again.")] = False,
) -> None:
    """Make the challenger the champion if it is better by more than noise and breaks no guard."""
    from ml.jobs import promote_model, roll_back

    settings = settings_for(env, root)
    with writing(settings, "model"):
        decision = roll_back(settings) if rollback else promote_model(settings)
    said = "rolled back" if rollback else "promoted"
    said = said if decision.promoted else f"not {said}"
    show(decision, as_json=as_json, text=f"{said}: {decision.reason}")


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="Which; that of conf/ if none is named.")] = "",
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    stop: Annotated[bool, typer.Option(help="End that of conf/: the champion for all.")] = False,
) -> None:
    """Show what champion and challenger brought about, by gold.experiment_results, or end it."""
    from ml import experiments
    from pipelines.io.pages import Pages
    from pipelines.registry import VIEWS
    from serving.stores import store_to_read, store_to_write

    settings = settings_for(env, root)
    if stop:
        with writing(settings, "online store", "model"):
            store = store_to_write(settings)
            try:
                ended = experiments.stop(settings, store)
            finally:
                store.close()
        show({"stopped": ended}, as_json=as_json, text=f"{ended} is stopped")
        return
    name = name or settings.experiment.name
    if not name:
        raise ModelError("name an experiment, or set experiment.name in conf/")
    page = Pages(settings, VIEWS).page("experiment_results", {"experiment": name}, 10)
    store = store_to_read(settings)
    try:
        found = experiments.results(name, page.rows, store)
    finally:
        store.close()
    show(found, as_json=as_json, text=experiment_text(found))


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
    from serving.stores import store_to_write

    settings = settings_for(env, root)
    progress = Progress()
    with writing(settings, "online store"), closing(store_to_write(settings)) as store:
        spark = spark_session(settings)
        counts = put(spark, settings, store, lambda k, n: progress.note(f"{k}: {n:,}"))
    show({"published": counts}, as_json=as_json, text=f"{sum(counts.values()):,} answers published")


@app.command()
def index(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Learn the order of search results and publish the index that the API answers from."""
    from ml.search import index_search
    from pipelines.io.session import spark_session
    from serving.stores import store_to_write

    settings = settings_for(env, root)
    with writing(settings, "online store", "model"), closing(store_to_write(settings)) as store:
        done = index_search(spark_session(settings), settings, store)
    text = f"{done.items:,} items and {done.customers:,} tastes published as {done.version}"
    show(done, as_json=as_json, text=f"{text}; {done.worth}")


@app.command()
def price(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Suggest prices within the guard rails of conf/, and apply them if conf/ says so."""
    from ml.pricing import price_items
    from pipelines.gold.elasticities import ELASTICITIES
    from pipelines.gold.price_suggestions import PRICE_SUGGESTIONS
    from pipelines.io.session import spark_session
    from serving.stores import store_to_write

    settings = settings_for(env, root)
    tables = (ELASTICITIES.name, PRICE_SUGGESTIONS.name)
    with (
        writing(settings, *tables, "model", "online store"),
        closing(store_to_write(settings)) as store,
    ):
        done = price_items(spark_session(settings), settings, store)
    show(done, as_json=as_json, text=done.told)


@app.command()
def serve(
    env: Env = "local",
    root: Root = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0: any free port.")] = None,
) -> None:
    """Answer HTTP requests from the online store and the gold views, and show the dashboard."""
    from pipelines.dashboard.panels import Panels
    from pipelines.io.pages import Pages
    from pipelines.registry import VIEWS
    from serving.server import serve as answer
    from workflows.recent import recent_runs

    settings = settings_for(env, root)
    panels = Panels(settings, lambda: recent_runs(settings.state / "workflows"))
    answer(settings, Pages(settings, VIEWS), panels=panels, port=port)


@app.command()
def hot_lists(env: Env = "local", root: Root = None) -> None:
    """Keep top sellers and trending items seconds old in the online store, until stopped."""
    from pipelines.dashboard.items import titles
    from pipelines.dashboard.tables import Tables
    from serving.hot_lists import run_hot_lists
    from serving.stores import store_to_write

    settings = settings_for(env, root)
    tables, stop = Tables(settings), threading.Event()
    stop_on_signals(stop)
    said = threading.Event()

    def counting() -> None:
        if not said.is_set():
            said.set()
            Progress().note("counting; the lists are in the online store")

    with writing(settings, "hot lists"), closing(store_to_write(settings)) as store:
        run_hot_lists(settings, store, lambda: titles(tables), stop, counting)


@app.command()
def bundle(
    as_json: Json = False,
    out: Annotated[Path | None, typer.Option(help="The folder; build/gold if not given.")] = None,
) -> None:
    """Write the gold views as materialized views of the Databricks pipeline in the bundle."""
    import tempfile

    from pipelines.databricks_views import PIPELINE_DIR, write_pipeline
    from pipelines.io.session import spark_session

    folder = out or PIPELINE_DIR
    with tempfile.TemporaryDirectory() as scratch:  # no lake is needed, only Spark's own log
        files = write_pipeline(spark_session(settings_for("local", scratch)), folder)
    text = f"{len(files)} materialized views written to {folder}"
    show({"folder": folder, "files": [file.name for file in files]}, as_json=as_json, text=text)
