"""The commands that keep a lake in shape while it is used."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group
from rich.table import Table

from pipelines.app import Env, Json, Root, app
from pipelines.console import Progress, show, table
from pipelines.errors import CheckError, CorrectionError
from pipelines.running import settings_for, writing
from pipelines.streams import OUTCOMES, StreamState, load_streams


@app.command()
def maintain(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables and views; all if none is named.")
    ] = None,
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Compact, cluster and purge tables where it is due, and delete what no one needs any more."""
    from pipelines.io.maintenance import maintain as bring_into_shape
    from pipelines.io.maintenance import tables_named
    from pipelines.io.session import spark_session

    settings = settings_for(env, root)
    names = tables_named(tables or ())
    progress = Progress()
    with writing(settings, *names):
        done = bring_into_shape(
            spark_session(settings), settings, names,
            progress=lambda m: progress.note(f"{m.table}: {', '.join(m.done) or 'nothing due'}"),
        )  # fmt: skip
    cells = [
        (
            m.table, ", ".join(m.done), m.files_before, m.files_after, m.bytes_before,
            m.bytes_after, m.freed_bytes, m.conflicts, "; ".join((*m.gave_up, *m.held_by)),
        )
        for m in done
    ]  # fmt: skip
    columns = (
        "table", "done", "files before", "after", "bytes before", "after", "bytes freed",
        "conflicts", "left out: given up, or still needed by",
    )  # fmt: skip
    show({"tables": done}, as_json=as_json, text=table("maintained", columns, cells))


@app.command()
def replay_quarantine(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="Whose quarantine; or late_events.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    reason: Annotated[str | None, typer.Option(help="Only rows with this code.")] = None,
    export: Annotated[
        Path | None, typer.Option(help="Write the rows to this file, as JSON Lines; no more.")
    ] = None,
    corrected: Annotated[
        Path | None, typer.Option(help="Such a file with corrected payloads, to be taken instead.")
    ] = None,
) -> None:
    """Let refused or late events through the same path again, as they are or corrected."""
    from pipelines.io.corrections import export as write_lines
    from pipelines.io.lake import open_lake
    from pipelines.io.replay import kept_rows, replay, replayable
    from pipelines.io.session import spark_session
    from pipelines.registry import INGESTED

    if corrected and (export or reason):
        raise CorrectionError("--corrected names its rows itself; leave out --export and --reason")
    quarantine = replayable(name)
    settings = settings_for(env, root)
    if export:
        open_lake(settings)
        rows = kept_rows(spark_session(settings), settings, quarantine, reason)
        count = write_lines(rows, export)
        result = {"table": quarantine.name, "exported": count, "file": export}
        show(result, as_json=as_json, text=f"{count:,} rows of {quarantine.name} in {export}")
        return
    with writing(settings, *(t.name for t in INGESTED)):
        spark = spark_session(settings)
        done = replay(spark, settings, quarantine, reason=reason, corrected=corrected)
    cells = [("replayed", done.replayed), ("taken in", done.taken_in), ("late", done.late)]
    cells += [(f"dropped: {code}", count) for code, count in done.dropped.items()]
    cells += [(f"refused again: {code}", count) for code, count in done.refused.items()]
    show(done, as_json=as_json, text=table(done.table, ("what", "rows"), cells))


@app.command()
def restore(
    name: Annotated[str, typer.Argument(metavar="TABLE", help="A table or view.")],
    version: Annotated[int, typer.Option(min=0, help="The version to show again.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Show an older version of a table again; streams and views stay right."""
    from pipelines.io.restore import require_restorable
    from pipelines.io.restore import restore as show_again
    from pipelines.io.session import spark_session
    from pipelines.registry import INGESTED

    require_restorable(name)
    settings = settings_for(env, root)
    with writing(settings, name, *(table.name for table in INGESTED)):
        done = show_again(spark_session(settings), settings, name, version)
    text = f"{done.table} shows version {done.shows} again, as {done.version}; now `{done.then}`"
    show(done, as_json=as_json, text=text)


@app.command()
def erase(
    customer: Annotated[list[str], typer.Option(help="Whom to erase; repeat for several.")],
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
) -> None:
    """Erase customers from every store, for good; the totals stay, as nobody's."""
    from pipelines.erase import erase as forget
    from pipelines.erase import require_people
    from pipelines.io.session import spark_session
    from pipelines.registry import NAMES

    people, settings = require_people(customer), settings_for(env, root)
    progress = Progress()
    others = ("model", "online store", "data docs", "hot lists", "reactions", "API keys")
    with writing(settings, *NAMES, *others):
        done = forget(spark_session(settings), settings, people, progress.stage)
    progress.close()
    cells = [(store, count) for store, count in done.found.items() if count]
    cells = cells or [("nobody of that id stood anywhere", 0)]
    lines = "".join(f"\nnot reached: {one}" for one in done.out_of_reach)
    title = f"erased {done.people} in {done.seconds} s"
    told = table(title, ("where", "changed or removed"), cells)
    show(done, as_json=as_json, text=Group(told, lines))


@app.command()
def doctor(
    env: Env = "local",
    root: Root = None,
    as_json: Json = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte of every table.")] = False,
) -> None:
    """Say what is wrong with the lake and the safe repair; changes nothing, exit 1 if it is."""
    from pipelines.io.doctor import examine

    found = examine(settings_for(env, root), reads_all=deep)
    cells = [
        ("note" if one.is_note else "WRONG", one.place, one.problem, one.repair)
        for one in found.findings
    ]
    title = f"{found.tables} tables, {found.files:,} files"
    columns = ("is", "where", "what", "do")
    text = table(title, columns, cells) if cells else f"{title}: nothing is wrong"
    counts = {"ok": found.is_sound, "tables": found.tables, "files": found.files}
    show(counts | {"findings": found.findings}, as_json=as_json, text=text)
    if not found.is_sound:
        wrong = [f.place for f in found.findings if not f.is_note]
        raise CheckError(f"the lake needs repair: {', '.join(wrong)}; see above what to do")


@app.command()
def status(env: Env = "local", root: Root = None, as_json: Json = False) -> None:
    """Rows and version of every table, and how the streams are doing."""
    from pipelines.io.lake import open_lake
    from pipelines.io.read import table_status
    from pipelines.io.session import spark_session
    from pipelines.registry import TABLES, VIEWS

    settings = settings_for(env, root)
    streams = load_streams(open_lake(settings))
    names = [table.name for table in TABLES] + [view.name for view in VIEWS]
    found = table_status(spark_session(settings), settings, names)
    cells = [(s.name, s.rows, s.version, s.changed_at) for s in found]
    columns = ("table", "rows", "version", "changed at (UTC)")
    told = [asdict(s) | {"condition": s.condition, "age_seconds": s.age_seconds} for s in streams]
    text = Group(table(settings.root, columns, cells), "", _streams_table(streams))
    show({"tables": found, "streams": told}, as_json=as_json, text=text)


def _streams_table(streams: list[StreamState]) -> Table:
    columns = (
        "stream", "is", "s ago", "rows", "rows/s", "lag", "batch s", *OUTCOMES,
    )  # fmt: skip
    cells = [
        (
            s.stream, s.condition, s.age_seconds, s.rows, s.rows_per_second,
            "?" if s.lag is None else f"{s.lag:,} {s.lag_unit}", s.batch_seconds,
            *(s.outcomes.get(name) for name in OUTCOMES),
        )
        for s in streams
    ]  # fmt: skip
    return table("streams", columns, cells)
