"""The protocol from the source to a gold view as a model, explored for a crash at any step.

Three processes (source to bronze, bronze to silver, silver to a view) take one durable step at a
time. Between any two steps any of them may die, the response of a commit may be lost, events may
arrive, and a few times a checkpoint may be lost or come back from a backup. Every state that can
be reached is visited once. In each the tables must hold nothing twice and nothing out of thin air,
and from each, left alone, all must end up holding everything.

`Protocol` names what the pipelines rely on; each of its fields, switched off, is a mutant that the
exploration must catch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

EVENTS = 3
_MOST_ROUNDS = 50
MISHAPS = 1  # checkpoints lost or put back, beside any number of crashes

Range = tuple[int, int]


@dataclass(frozen=True)
class Protocol:
    """What is relied on; see pipelines/io/stream.py, checkpoints.py and views/record.py."""

    writes_have_ids: bool = True
    ids_name_the_checkpoint: bool = True
    range_before_rows: bool = True
    done_after_rows: bool = True
    each_table_has_its_own_id: bool = True
    second_table_is_tried_again: bool = True
    retry_keeps_the_id: bool = True
    resumes_after_newest_row: bool = True
    refuses_a_foreign_checkpoint: bool = True
    view_and_record_are_one_commit: bool = True
    ledger_is_caught_up: bool = True


# What one rule lets through, another one stops: rows that were never written leave a checkpoint
# that no longer fits its table. Such a rule is switched off together with its guard.
GUARDED = {"done_after_rows": "refuses_a_foreign_checkpoint"}


class Checkpoint(NamedTuple):
    """Ranges begun, and how many of them are done; `id` is new with every checkpoint."""

    id: int = 0
    begun: tuple[Range, ...] = ()
    done: int = 0


class Table(NamedTuple):
    """Rows in the order of their commits, and the newest batch of each application."""

    rows: tuple[int, ...] = ()
    applied: tuple[tuple[int, int], ...] = ()


class View(NamedTuple):
    """The rows that it is the sum of, the version it shows, and the range it last took in."""

    rows: tuple[int, ...] = ()
    shown: int = 0
    last: Range = (0, 0)


class Lake(NamedTuple):
    """All that survives a crash, and after it how far each process is in its round."""

    source: int = 0
    bronze: Table = Table()
    silver: Table = Table()
    refused: Table = Table()  # the second table of a silver batch
    view: View = View()
    ledger: tuple[Range, ...] = ()
    to_bronze: Checkpoint = Checkpoint()
    to_silver: Checkpoint = Checkpoint()
    mishaps: int = 0
    at: tuple[int, int, int] = (0, 0, 0)


def applied(table: Table, application: int) -> int:
    """The newest batch of an application; -1 if there is none."""
    return dict(table.applied).get(application, -1)


def write(
    table: Table, rows: tuple[int, ...], application: int, batch: int, protocol: Protocol
) -> Table:
    """One transaction: its rows and its id, or nothing if the id was there."""
    if not protocol.ids_name_the_checkpoint:
        application = 0
    if protocol.writes_have_ids and applied(table, application) >= batch:
        return table
    ids = dict(table.applied) | {application: batch}
    return Table(table.rows + rows, tuple(sorted(ids.items())))


def begin(checkpoint: Checkpoint, end: int, first: int = 0) -> Checkpoint:
    """The next batch is noted, up to `end`, unless one is pending or there is nothing new."""
    start = checkpoint.begun[-1][1] if checkpoint.begun else first
    if len(checkpoint.begun) > checkpoint.done or start >= end:
        return checkpoint
    return checkpoint._replace(begun=(*checkpoint.begun, (start, end)))


def is_sound(checkpoint: Checkpoint, table: Table, protocol: Protocol) -> bool:
    """Whether a checkpoint fits its table: done <= newest in the table <= begun."""
    newest = applied(table, checkpoint.id if protocol.ids_name_the_checkpoint else 0)
    return checkpoint.done - 1 <= newest <= len(checkpoint.begun) - 1


def bronze_step(lake: Lake, protocol: Protocol) -> Lake:
    """The next durable step of source to bronze; the lake itself if there is none."""
    checkpoint, at = lake.to_bronze, lake.at[0]
    newest = max(lake.bronze.rows, default=-1) + 1
    is_lost = not checkpoint.begun and bool(lake.bronze.rows)
    is_foreign = protocol.refuses_a_foreign_checkpoint and not is_sound(
        checkpoint, lake.bronze, protocol
    )
    if at == 0 and (is_lost or is_foreign):  # --resume-from-bronze
        first = newest if protocol.resumes_after_newest_row else 0
        if lake.source == first:
            return lake
        made = Checkpoint(checkpoint.id + 1, ((first, lake.source),))
        return lake._replace(to_bronze=made)
    if at == 0 and len(checkpoint.begun) == checkpoint.done:
        return lake._replace(to_bronze=begin(checkpoint, lake.source))
    batch = len(checkpoint.begun) - 1
    low, high = checkpoint.begun[batch]
    if not protocol.range_before_rows and at == 0:
        high = lake.source  # planned anew by every start
        checkpoint = checkpoint._replace(begun=(*checkpoint.begun[:-1], (low, high)))
        lake = lake._replace(to_bronze=checkpoint)
    rows = tuple(range(low, high))
    wrote = lake._replace(bronze=write(lake.bronze, rows, checkpoint.id, batch, protocol))
    done = lake._replace(to_bronze=checkpoint._replace(done=batch + 1))
    first, second = (wrote, done) if protocol.done_after_rows else (done, wrote)
    return _at(first, 0, 1) if at == 0 else _at(second, 0, 0)


def silver_step(lake: Lake, protocol: Protocol) -> Lake:
    """The next step of bronze to silver, whose batches write two tables."""
    checkpoint, at = lake.to_silver, lake.at[1]
    if at == 0 and len(checkpoint.begun) == checkpoint.done:
        return lake._replace(to_silver=begin(checkpoint, len(lake.bronze.rows)))
    batch = len(checkpoint.begun) - 1
    rows = lake.bronze.rows[slice(*checkpoint.begun[batch])]
    if at == 0:
        is_repeated = applied(lake.silver, checkpoint.id) >= batch
        skips = is_repeated and not protocol.second_table_is_tried_again
        silver = write(lake.silver, rows, checkpoint.id, batch, protocol)
        return _at(lake._replace(silver=silver), 1, 2 if skips else 1)
    if at == 1:
        has_id = protocol.each_table_has_its_own_id
        refused = (
            write(lake.refused, rows, checkpoint.id, batch, protocol)
            if has_id
            else Table(lake.refused.rows + rows)
        )
        return _at(lake._replace(refused=refused), 1, 2)
    return _at(lake._replace(to_silver=checkpoint._replace(done=batch + 1)), 1, 0)


def view_step(lake: Lake, protocol: Protocol) -> Lake:
    """The next step of a refresh: the view with its record, then the ledger."""
    view, at, now = lake.view, lake.at[2], len(lake.silver.rows)
    logged = lake.ledger[-1][1] if lake.ledger else 0
    if at == 0 and logged < view.last[1] and protocol.ledger_is_caught_up:
        return lake._replace(ledger=(*lake.ledger, view.last))
    if at == 0:
        if view.shown == now:
            return lake
        rows, took = view.rows + lake.silver.rows[view.shown : now], (view.shown, now)
        if protocol.view_and_record_are_one_commit:
            return _at(lake._replace(view=View(rows, now, took)), 2, 1)
        return _at(lake._replace(view=View(rows, view.shown, took)), 2, 1)
    view = view._replace(shown=view.last[1])
    ledger = lake.ledger if logged >= view.last[1] else (*lake.ledger, view.last)
    return _at(lake._replace(view=view, ledger=ledger), 2, 0)


STEPS = (bronze_step, silver_step, view_step)


def _at(lake: Lake, process: int, step: int) -> Lake:
    at = list(lake.at)
    at[process] = step
    return lake._replace(at=(at[0], at[1], at[2]))


def following(lake: Lake, protocol: Protocol) -> Iterator[tuple[str, Lake]]:
    """What may happen next."""
    if lake.source < EVENTS:
        yield "an event arrives", lake._replace(source=lake.source + 1)
    for process, step in enumerate(STEPS):
        name = step.__name__
        yield name, step(lake, protocol)
        yield f"{name}, then it dies", _at(step(lake, protocol), process, 0)
        if lake.at[process]:
            yield f"{name} never happens: it died", _at(lake, process, 0)
    yield from _lost_responses(lake, protocol)
    if lake.mishaps < MISHAPS:
        spent = lake._replace(mishaps=lake.mishaps + 1, at=(0, *lake.at[1:]))
        old = lake.to_bronze
        yield "the checkpoint is lost", spent._replace(to_bronze=Checkpoint(old.id))
        for begun in range(1, len(old.begun) + 1):
            for done in (begun - 1, begun):
                back = Checkpoint(old.id, old.begun[:begun], min(done, old.done))
                yield "the checkpoint is put back", spent._replace(to_bronze=back)


def _lost_responses(lake: Lake, protocol: Protocol) -> Iterator[tuple[str, Lake]]:
    """Bronze commits, the answer is lost, and the writer tries again at once."""
    after = bronze_step(lake, protocol)
    if lake.at[0] == 0 and after.bronze != lake.bronze:
        rows = after.bronze.rows[len(lake.bronze.rows) :]
        batch = len(after.to_bronze.begun) - 1
        again = batch if protocol.retry_keeps_the_id else EVENTS + 1
        twice = write(after.bronze, rows, after.to_bronze.id, again, protocol)
        yield "the response is lost", after._replace(bronze=twice)


def wrong(lake: Lake) -> str:
    """What must hold in every state, and does not; empty if all does."""
    known = set(range(lake.source))
    for name in ("bronze", "silver", "refused", "view"):
        rows = getattr(lake, name).rows
        if len(set(rows)) < len(rows):
            return f"{name} holds a row twice"
        if not set(rows) <= known:
            return f"{name} holds a row that nobody sent"
        known = set(lake.bronze.rows)
    if lake.at[2] == 0 and lake.view.rows != lake.silver.rows[: lake.view.shown]:
        return "the view is not what its version says"
    ends = [0, *(high for _, high in lake.ledger)]
    if [low for low, _ in lake.ledger] != ends[:-1]:
        return "the ledger has a gap or an overlap"
    return ""


def incomplete(lake: Lake, protocol: Protocol) -> str:
    """What is missing once nothing fails any more and all processes have run to their end."""
    for _ in range(_MOST_ROUNDS):
        before = lake
        for step in STEPS:
            lake = step(lake, protocol)
        if lake == before:
            break
        if said := wrong(lake):
            return said
    else:
        return "it never comes to rest"
    sent = tuple(range(lake.source))
    for name in ("bronze", "silver", "refused", "view"):
        if tuple(sorted(getattr(lake, name).rows)) != sent:
            return f"{name} lacks rows"
    logged = lake.ledger[-1][1] if lake.ledger else 0
    return "" if logged == lake.view.shown else "the ledger lacks a refresh"


@dataclass(frozen=True)
class Explored:
    """How many states there are, and how the first bad one was reached; empty if there is none."""

    states: int
    said: str = ""
    path: tuple[str, ...] = ()


def explore(protocol: Protocol, most: int = 2_000_000) -> Explored:
    """Visit every state that can be reached, nearest first, until one is bad."""
    first = Lake()
    came: dict[Lake, tuple[Lake, str] | None] = {first: None}
    frontier = [first]
    while frontier:
        reached: list[Lake] = []
        for lake in frontier:
            if said := wrong(lake) or incomplete(lake, protocol):
                return Explored(len(came), said, _path(lake, came))
            for name, then in following(lake, protocol):
                if then not in came:
                    came[then] = (lake, name)
                    reached.append(then)
        if len(came) > most:
            raise AssertionError(f"more than {most:,} states; the model has grown")
        frontier = reached
    return Explored(len(came))


def _path(lake: Lake, came: dict[Lake, tuple[Lake, str] | None]) -> tuple[str, ...]:
    names: list[str] = []
    before = came[lake]
    while before is not None:
        lake, name = before
        names.append(name)
        before = came[lake]
    return tuple(reversed(names))
