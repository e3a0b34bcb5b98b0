"""F1 to F9: `kill -9` at each step of a batch and of a refresh, and lost responses of commits."""

from collections.abc import Callable
from functools import partial

from disk import Stream
from stage import Stage

Seen = Callable[[Stage], object]
VIEWS = ("sales_hourly", "current_prices", "inventory_levels", "item_funnel")


def ready(stage: Stage) -> None:
    """A lake with two batches of the stream in it."""
    if stage.disk.version("silver.purchases") < 0:
        stage.send()
        stage.ingest()


def killed(
    stage: Stage, kind: str, what: str, breaks: tuple[str, ...], seen: Seen, *command: str
) -> None:
    """Break, run until it dies, see that it did where it must, and run again."""
    with stage.tally.fault(kind, what) as fault:
        stage.worker.run(*breaks)
        done = stage.worker.run(*command)
        evidence = seen(stage)
        fault.fired(done.code == -9 and evidence, f"exit {done.code}, {evidence}")
        stage.recover(*command)
    stage.check(f"{kind} {what}")


def _each_batch(
    stage: Stage, kind: str, when: str, seen: Callable[[Stage, Stream], object]
) -> None:
    """Kills in the first and in a later batch of both streams."""
    ready(stage)
    for stream, nth in ((stage.bronze, 1), (stage.bronze, 2), (stage.silver, 1)):
        stage.send()
        breaks = ("!die in batch", stream.stage, when, str(nth))
        what = f"{stream.stage}, batch {nth}"
        killed(stage, kind, what, breaks, partial(_ask, seen, stream), "ingest")


def _ask(seen: Callable[[Stage, Stream], object], stream: Stream, stage: Stage) -> object:
    return seen(stage, stream)


def _unfinished(stage: Stage, stream: Stream) -> object:
    begun, done = stage.disk.begun(stream), stage.disk.done(stream)
    return begun > done and f"batch {begun} begun, {done} done"


def before_offsets(stage: Stage) -> None:
    """F1, K0: nothing of the batch is written, not even its offsets."""

    def seen(stage: Stage, stream: Stream) -> object:
        begun, done = stage.disk.begun(stream), stage.disk.done(stream)
        return begun == done and f"no offsets after batch {done}"

    ready(stage)
    for stream in (stage.bronze, stage.silver):
        stage.send()
        breaks = ("!die in batch", stream.stage, "start", "1")
        killed(stage, "F1", stream.stage, breaks, partial(_ask, seen, stream), "ingest")


def after_offsets(stage: Stage) -> None:
    """F2, K1: the offsets stand, nothing else."""
    _each_batch(stage, "F2", "begin", _unfinished)


def files_without_commit(stage: Stage) -> None:
    """F3, K2: data files that no commit names."""
    ready(stage)
    for stream in (stage.bronze, stage.silver):
        stage.send()
        with stage.tally.fault("F3", f"files of {stream.first}") as fault:
            stage.worker.start_if_dead()
            before, disk = stage.disk.files(stream.first), stage.disk
            stage.worker.ask("ingest")
            stage.worker.kill_when(lambda: disk.files(stream.first) != before)  # noqa: B023
            strays = disk.strays(stream.first)
            fault.fired(strays, f"{len(strays)} files that no commit names")
            stage.recover("ingest")
        stage.check("F3")


def between_tables(stage: Stage) -> None:
    """F4, K3: some tables of a silver batch are committed, others not."""
    ready(stage)
    for nth in (1, 4):
        stage.send()
        breaks = ("!die after write", str(nth))
        seen = partial(_ask, _unfinished, stage.silver)
        killed(stage, "F4", f"after {nth} tables", breaks, seen, "ingest")


def before_done(stage: Stage) -> None:
    """F5, K4: all is committed, `commits/N` is not written; killed, and made by hand."""

    def seen(stage: Stage, stream: Stream) -> object:
        begun, taken = stage.disk.begun(stream), stage.disk.taken_in(stream, stream.last)
        return taken == begun > stage.disk.done(stream) and f"{stream.last} has batch {taken}"

    _each_batch(stage, "F5", "end", seen)
    for stream in (stage.bronze, stage.silver):
        with stage.tally.fault("F5", f"commits/N of {stream.stage} deleted") as fault:
            number = stage.disk.forget(stream)
            fault.fired(stage.disk.done(stream) == number - 1, f"batch {number}")
            stage.recover("ingest")
        stage.check("F5")


def after_done(stage: Stage) -> None:
    """F6, K5: `commits/N` is written, the next batch is not begun."""
    ready(stage)
    for stream in (stage.bronze, stage.silver):
        stage.send()
        with stage.tally.fault("F6", stream.stage) as fault:
            stage.worker.start_if_dead()
            before, disk = stage.disk.done(stream), stage.disk
            stage.worker.ask("ingest")
            stage.worker.kill_when(lambda: disk.done(stream) > before)  # noqa: B023
            fault.fired(disk.done(stream) > before, f"batch {disk.done(stream)} done")
            stage.recover("ingest")
        stage.check("F6")


def again_and_again(stage: Stage) -> None:
    """F7: killed three times in a row, each time while it recovers."""
    ready(stage)
    stage.send()
    breaks = (
        ("!die in batch", "bronze", "end", "1"),
        ("!die after write", "2"),
        ("!die in batch", "silver", "end", "1"),
    )
    for number, one in enumerate(breaks, start=1):
        with stage.tally.fault("F7", f"death {number} in a row") as fault:
            stage.worker.run(*one)
            done = stage.worker.run("ingest")
            fault.fired(done.code == -9, f"exit {done.code}")
    stage.recover("ingest")
    stage.check("F7")


def amid_refresh(stage: Stage) -> None:
    """F8: killed between silver and gold, and when some of the views are refreshed."""
    ready(stage)
    for nth in (1, 3):
        stage.send()
        stage.ingest()
        before = {view: stage.disk.version(f"gold.{view}") for view in VIEWS}

        def seen(stage: Stage, before: dict[str, int] = before) -> object:
            moved = [v for v in VIEWS if stage.disk.version(f"gold.{v}") > before[v]]
            return 0 < len(moved) < len(VIEWS) and f"{', '.join(moved)} refreshed"

        breaks = ("!die after view", str(nth))
        killed(stage, "F8", f"after {nth} views", breaks, seen, "refresh", *VIEWS)


def response_lost(stage: Stage) -> None:
    """F9: the commit stands, and its writer is told that it failed."""
    ready(stage)
    for name, breaks, command in (
        ("bronze.events", ("!lose in bronze",), ("ingest",)),
        ("silver.purchases", ("!lose in silver", "3"), ("ingest",)),
        ("gold.sales_hourly", ("!lose in view", "1"), ("refresh", "sales_hourly")),
    ):
        stage.send()
        if command[0] == "refresh":
            stage.ingest()
        with stage.tally.fault("F9", f"{command[0]}, {name}") as fault:
            before = stage.disk.version(name)
            stage.worker.run(*breaks)
            done = stage.worker.run(*command)
            stage.worker.run("!mend")
            after = stage.disk.version(name)
            fault.fired(done.code > 0 and after > before, f"exit {done.code}, version {after}")
            stage.recover(*command)
        stage.check("F9")


KINDS: dict[str, Callable[[Stage], None]] = {
    "F1": before_offsets,
    "F2": after_offsets,
    "F3": files_without_commit,
    "F4": between_tables,
    "F5": before_done,
    "F6": after_done,
    "F7": again_and_again,
    "F8": amid_refresh,
    "F9": response_lost,
}
