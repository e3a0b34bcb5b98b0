"""The command of the reactions."""

import threading
from contextlib import closing
from typing import Annotated

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show
from pipelines.running import settings_for, stop_on_signals, writing


@app.command()
def react(
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    stop_after_idle: Annotated[
        float | None, typer.Option(min=0, help="End after so many seconds without an event.")
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Serve Prometheus metrics there.")
    ] = None,
) -> None:
    """React on events as they come: prices, stock, trends, tastes, alerts and webhooks."""
    from pipelines.io.session import spark_session
    from pipelines.metrics import serving_metrics
    from pipelines.reacting import prepare, reactions_of, with_room
    from pipelines.reacting import react as go_on
    from serving.reactions.counts import Counts, ReactionMetrics
    from serving.reactions.outbox import Outbox

    given = {} if metrics_port is None else {"reactions.metrics_port": metrics_port}
    settings = settings_for(env, root, given)
    reactions, webhooks = reactions_of(settings)
    progress, counts, stop = Progress(), Counts(), threading.Event()
    with writing(settings, "reactions", create=True) as state:
        settings = with_room(settings, prepare(settings))
        with closing(Outbox(state / "reactions" / "outbox.db")) as outbox:
            metrics = ReactionMetrics(counts, outbox.counts)
            at = settings.reactions
            spark = spark_session(settings)
            stop_on_signals(stop)
            with serving_metrics(state, at.metrics_host, at.metrics_port, metrics):
                go_on(
                    spark, settings, reactions, webhooks, counts, outbox,
                    ready=lambda: progress.note(f"{len(reactions)} reactions wait for events"),
                    until=lambda idle: stop.is_set() or bool(stop_after_idle is not None
                                                             and idle >= stop_after_idle),
                )  # fmt: skip
    told = {"events": counts.events, "matches": counts.reactions, "failures": counts.failures}
    show(told, as_json=as_json, text=f"{sum(counts.events.values()):,} events reacted on")
