"""F13 to F17: what is in the events themselves; injected by the workload, found by the ledger."""

from collections.abc import Callable
from functools import partial

from kinds_kills import ready
from stage import Stage
from workload import messages

OF: dict[str, tuple[str, ...]] = {
    "F13": ("bad",),
    "F14": ("drift",),
    "F15": ("duplicate", "conflict"),
    "F16": ("late", "future"),
    "F17": ("skew",),
}
SAID = {
    "F13": "poison events", "F14": "drifted schemas", "F15": "events that come again",
    "F16": "late and future events", "F17": "clocks of producers",
}  # fmt: skip


def in_the_stream(kind: str, stage: Stage) -> None:
    """A slice that has all of them; each variety is in bronze, and stands where the ledger says."""
    ready(stage)
    before = stage.sent
    while stage.sent < stage.events and not _varieties(stage, kind, stage.sent):
        stage.send()
    if stage.sent > before:
        stage.ingest()
    stage.check(kind)
    sent = _varieties(stage, kind, stage.sent)
    held = stage.varieties_in_bronze()
    for variety in sorted(sent):
        with stage.tally.fault(kind, f"{SAID[kind]}: {variety}") as fault:
            fault.fired(held.get(variety), f"{held.get(variety, 0)} of {sent[variety]} in bronze")


def _varieties(stage: Stage, kind: str, after: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in messages(stage.seed, 0, after):
        if one.kind.startswith(OF[kind]):
            found[one.kind] = found.get(one.kind, 0) + 1
    return found


KINDS: dict[str, Callable[[Stage], None]] = {kind: partial(in_the_stream, kind) for kind in OF}
