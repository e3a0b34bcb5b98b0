"""The commands of what starts jobs by itself."""

from collections.abc import Callable
from typing import Annotated

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show, table
from pipelines.errors import ConfigError
from pipelines.running import settings_for, writing
from pipelines.settings import Settings
from pipelines.workflow_commands import (
    BUNDLE,
    BundleFile,
    Parallel,
    Skip,
    Target,
    Var,
    bundle_for,
    moment,
    narrator,
    options_for,
)


@app.command()
def schedule(
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    bundle_file: BundleFile = BUNDLE,
    target: Target = None,
    var: Var = None,
    skip_unsupported: Skip = False,
    parallel: Parallel = None,
    list_only: Annotated[bool, typer.Option("--list", help="Show what starts when.")] = False,
) -> None:
    """Start the jobs of the bundle by themselves, as their triggers say, until stopped."""
    import time

    from workflows.daemon import Daemon, next_fires
    from workflows.runner import engine_in

    settings = settings_for(env, root)
    bundle = bundle_for(settings, bundle_file, target, var)
    if list_only:
        rows = [
            (job.key, trigger.kind, trigger.paused, moment(at))
            for job, trigger, at in next_fires(bundle, time.time())
        ]
        columns = ("job", "trigger", "paused", "next, UTC")
        found = [dict(zip(("job", "trigger", "paused", "next"), row, strict=True)) for row in rows]
        show(found, as_json=as_json, text=table("triggers", columns, rows))
        return
    progress, folder = Progress(), settings.state / "workflows"
    with (
        writing(settings, "scheduler", create=True),
        engine_in(folder, (narrator(progress),)) as engine,
    ):
        daemon = Daemon(
            bundle,
            engine,
            folder,
            options_for(settings, skip_unsupported, parallel),
            version_of(settings),
        )
        progress.note(f"{len(daemon.watches)} triggers; Ctrl-C stops the daemon and keeps the runs")
        daemon.run()


@app.command()
def pause(
    job: Annotated[str, typer.Argument(help="A job with a trigger.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    bundle_file: BundleFile = BUNDLE,
    target: Target = None,
    off: Annotated[bool, typer.Option("--off", help="Let it go on.")] = False,
) -> None:
    """Let a job's triggers rest, or with --off go on, whatever the bundle says."""
    from workflows.runner import STORE
    from workflows.store import Store

    settings = settings_for(env, root)
    found = bundle_for(settings, bundle_file, target, None).job(job)
    names = [f"{job}/{number}/{trigger.kind}" for number, trigger in enumerate(found.triggers)]
    if not names:
        raise ConfigError(f"job '{job}' has no trigger; there is nothing to pause")
    store = Store(settings.state / "workflows" / STORE)
    for name in names:
        store.set_paused(name, not off)
    said = "goes on" if off else "rests"
    show({"job": job, "paused": not off}, as_json=as_json, text=f"{job} {said}")


def version_of(settings: Settings) -> Callable[[str], int | None]:
    """How to ask for the version of a table, by `layer.name` or `catalog.layer.name`."""
    from pipelines.io.lake import table_path
    from workflows.delta_version import delta_version

    def version(name: str) -> int | None:
        return delta_version(table_path(settings, ".".join(name.split(".")[-2:])))

    return version
