"""The commands of the workflows: run a bundle's jobs here, look at runs, repair them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show, table
from pipelines.errors import ConfigError, LakehouseError
from pipelines.running import settings_for
from pipelines.settings import Settings

if TYPE_CHECKING:
    from workflows.active import Change, Listener
    from workflows.bundle import Bundle
    from workflows.runner import JobRun, Options

BUNDLE = Path(__file__).resolve().parent.parent / "databricks.yml"

BundleFile = Annotated[Path, typer.Option("--bundle", help="The bundle: its folder or file.")]
Target = Annotated[str | None, typer.Option(help="A target of the bundle.")]
Var = Annotated[list[str] | None, typer.Option("--var", help="A variable: NAME=VALUE.")]
Param = Annotated[list[str] | None, typer.Option("--param", help="A job parameter: NAME=VALUE.")]
Skip = Annotated[bool, typer.Option("--skip-unsupported", help="Leave out what cannot run here.")]
Parallel = Annotated[int | None, typer.Option(min=1, help="Processes side by side at most.")]


@app.command()
def run(
    job: Annotated[str, typer.Argument(help="A job of databricks.yml.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    bundle_file: BundleFile = BUNDLE,
    target: Target = None,
    var: Var = None,
    param: Param = None,
    skip_unsupported: Skip = False,
    parallel: Parallel = None,
) -> None:
    """Run a job of databricks.yml on this machine."""
    from workflows.runner import run_job

    settings = settings_for(env, root)
    bundle = bundle_for(settings, bundle_file, target, var)
    done = run_job(
        bundle,
        job,
        folder=settings.state / "workflows",
        parameters=_pairs(param, "--param"),
        listeners=(narrator(Progress()),),
        options=options_for(settings, skip_unsupported, parallel),
    )
    _show_run(done, as_json)


@app.command()
def runs(
    run_id: Annotated[int | None, typer.Argument(help="One run, in detail.")] = None,
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    job: Annotated[str | None, typer.Option(help="Only runs of this job.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
) -> None:
    """List the runs of jobs, or show one."""
    from workflows.runner import STORE, summary
    from workflows.store import Store

    folder = settings_for(env, root).state / "workflows"
    store = Store(folder / STORE)
    if run_id is not None:
        if store.record(run_id) is None:
            raise ConfigError(f"no run {run_id} in {folder}; see `lakehouse runs`")
        _show_run(summary(store, run_id), as_json, fail=False)
        return
    found = store.runs(job=job, limit=limit)
    rows = [
        (r["run_id"], r["job"], r["state"], moment(r["started_at"]), _seconds(r), r["message"])
        for r in found
    ]
    columns = ("run", "job", "state", "started", "seconds", "")
    show(found, as_json=as_json, text=table("runs", columns, rows))


@app.command()
def repair(
    run_id: Annotated[int, typer.Argument(help="A run that failed or was cut off.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    param: Param = None,
) -> None:
    """Run what failed in a run again, and what depends on it; or go on with one cut off."""
    from workflows.runner import repair_run

    settings = settings_for(env, root)
    done = repair_run(
        settings.state / "workflows",
        run_id,
        parameters=_pairs(param, "--param"),
        listeners=(narrator(Progress()),),
    )
    _show_run(done, as_json)


def bundle_for(
    settings: Settings, file: Path, target: str | None, var: list[str] | None
) -> "Bundle":
    """The bundle; our own is told which settings and which lake it is for."""
    from workflows.bundle import load_bundle

    variables = _pairs(var, "--var")
    if file == BUNDLE:
        lake = settings.root if "://" in settings.root else str(Path(settings.root).absolute())
        ours = {"env": settings.env, "root": lake, "intake": "--available-now"}
        variables = {**ours, **variables}
    return load_bundle(file, target=target, variables=variables)


def _pairs(texts: Iterable[str] | None, option: str) -> dict[str, str]:
    """`NAME=VALUE` options as a mapping."""
    pairs = [text.partition("=") for text in texts or ()]
    for name, equals, _ in pairs:
        if not equals:
            raise ConfigError(f"{option} {name}: must be NAME=VALUE")
    return {name: value for name, _, value in pairs}


def narrator(progress: Progress) -> "Listener":
    def tell(change: "Change") -> None:
        if change.unit is not None:
            said = f" ({change.message})" if change.message else ""
            progress.note(f"{change.record.job.key}.{change.unit}: {change.state}{said}")

    return tell


def options_for(settings: Settings, skip_unsupported: bool, parallel: int | None) -> "Options":
    """How runs are made: the gold views stand for the pipeline `gold`."""
    from workflows.runner import ROOM, Options

    place = ["--env", settings.env, "--root", settings.root]
    return Options(
        room=parallel or ROOM,
        skip_unsupported=skip_unsupported,
        pipelines={"gold": ["pipelines", "refresh", *place]},
        spark={
            "call": "pipelines.io.session:conf_of",
            "arguments": {"env": settings.env, "root": settings.root},
        },
    )


def _show_run(done: "JobRun", as_json: bool, *, fail: bool = True) -> None:
    rows = [(t.key, str(t.state), t.attempts, t.seconds, t.message) for t in done.tasks]
    columns = ("task", "state", "attempts", "seconds", "")
    title = f"run {done.run_id} of {done.job}: {done.state}, logs in {done.folder}"
    show(done, as_json=as_json, text=table(title, columns, rows))
    if fail and not done.state.good:
        raise LakehouseError(
            f"run {done.run_id} of {done.job} ended {done.state}; its logs are in {done.folder}, "
            f"`lakehouse repair {done.run_id}` runs what failed again"
        )


def moment(seconds: float | None) -> str:
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"


def _seconds(row: dict[str, Any]) -> float | None:
    ended, started = row["ended_at"], row["started_at"]
    return None if ended is None or started is None else ended - started


@app.command()
def cancel(
    run_id: Annotated[int, typer.Argument(help="A run that goes on.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    task: Annotated[str | None, typer.Option(help="Only this task of it.")] = None,
) -> None:
    """End a run, or one task of it."""
    from workflows.runner import STORE
    from workflows.store import Store

    store = Store(settings_for(env, root).state / "workflows" / STORE)
    if not store.is_running(run_id):
        raise ConfigError(f"run {run_id} does not go on; see `lakehouse runs`")
    store.wish_cancel(run_id, task)
    show({"run": run_id, "task": task}, as_json=as_json, text=f"run {run_id} is asked to end")
