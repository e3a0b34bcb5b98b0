"""`make faults`: faults of every kind, injected into real processes, and what must hold after them.

One broker, one topic with a producer that keeps a ledger, one lake. Each kind of fault is injected
while a slice of the events is taken in, counted as fired by what the disk shows of it, and followed
by a recovery and by the invariants. At the end the rest of the events goes in, every view is
refreshed, and everything is held against the ledger and against gold recomputed in DuckDB. Then
the mutants: the program with one rule broken, each of which the invariants must catch.
"""

import argparse
import importlib
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
from confluent_kafka.admin import AdminClient, NewTopic
from damage import damage
from mutants import caught, model_holds
from processes import make_project, overlay
from report import Tally
from stage import Stage, everything

from pipelines.sources.broker import LocalBroker

TOPIC, PARTITIONS = "retail-events", 2
F12, DAMAGED = "F12", 60  # damage to files comes last, when nobody writes any more
SLICES = 50  # that the events are sent in, of at most 1,000 while faults are injected


def kinds() -> dict[str, Callable[[Stage], None]]:
    """Every kind of the modules beside this one, F1 first."""
    found: dict[str, Callable[[Stage], None]] = {}
    for file in sorted(Path(__file__).parent.glob("kinds_*.py")):
        found |= importlib.import_module(file.stem).KINDS
    return dict(sorted(found.items(), key=lambda one: (len(one[0]), one[0])))


def main() -> int:
    """Run; 0 only if all that was injected fired and nothing is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--kinds", default="", help="such as F1,F12,mutants; all by default")
    parser.add_argument("--minutes", type=float, default=30, help="after which no kind is begun")
    parser.add_argument("--keep", action="store_true", help="leave the folder, and say where")
    given = parser.parse_args()
    known = {**kinds(), F12: files_damaged}
    wanted = [one for one in given.kinds.split(",") if one]
    if unknown := [one for one in wanted if one not in (*known, "mutants")]:
        parser.error(f"no kind {', '.join(unknown)}; there are {', '.join([*known, 'mutants'])}")
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    tally = Tally()
    try:
        with LocalBroker(folder) as broker:
            stage = staged(folder, broker, tally, seed=given.seed, events=given.events)
            try:
                run(stage, [k for k in known if not wanted or k in wanted], known, given.minutes)
                if not wanted or "mutants" in wanted:
                    caught(stage)
            finally:
                stage.worker.close()
                if stage.broker and stage.broker is not broker:
                    stage.broker.__exit__(None, None, None)
    finally:
        if given.keep:
            tally.say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(tally.last_line(given.seed) + "\n")
    return 0 if tally.is_good else 1


def staged(folder: Path, broker: LocalBroker, tally: Tally, *, seed: int, events: int) -> Stage:
    """A stage on this broker, its topic empty and its lake not yet there."""
    servers = broker.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS)])[TOPIC].result(30)
    size = max(100, min(1000, events // SLICES))
    project = make_project(folder / "project", overlay(servers, TOPIC, batch=size * 7 // 10))
    return Stage(folder, project, TOPIC, servers, seed, tally, size, events, broker)


def run(
    stage: Stage,
    chosen: list[str],
    known: dict[str, Callable[[Stage], None]],
    minutes: float,
) -> None:
    """Kind after kind, then all that is left of the events, and everything that must hold."""
    tally = stage.tally
    states, rules = model_holds(tally)
    tally.say(f"model of the protocol: {states:,} states, {rules} rules, each of them needed")
    if not chosen:
        return
    damages = F12 in chosen
    chosen = [kind for kind in chosen if kind != F12]
    with stage.reader():
        for kind in chosen:
            if time.monotonic() - tally.started > minutes * 60:
                tally.found([f"no time was left for {kind}"], "the clock")
                continue
            try:
                known[kind](stage)
            except Exception:
                tally.found([f"{kind} ended early: {traceback.format_exc()[-1500:]}"], kind)
        conclude(stage)
    if damages:
        files_damaged(stage)


def files_damaged(stage: Stage) -> None:
    """F12: bits flipped, files torn or gone, in a copy of the lake as it is now."""
    found = damage(stage.root, stage.seed, DAMAGED)
    stage.tally.injected[F12] += found.injected
    stage.tally.fired[F12] += found.fired
    stage.tally.damage = [len(found.silent), found.injected]
    stage.tally.found(found.silent, F12)
    stage.tally.say(f"{F12} {found.fired} files damaged: {dict(found.outcomes)}")


def conclude(stage: Stage) -> None:
    """The rest of the events in large batches, every view, and all invariants."""
    stage.worker.run("!mend")
    stage.send(max(stage.events - stage.sent, 0) or 1)
    for command in (("ingest",), ("refresh",)):
        done = stage.worker.run(*command, root=stage.root)
        if done.code:
            stage.tally.found([f"{command[0]} failed: {done.err[-600:]}"], "all faults")
    held = everything(stage.root, stage.ledger, stage.seen)
    stage.tally.found(held.broken, "all faults")
    stage.tally.drift += held.drift
    stage.tally.views = [held.views, held.of]
    stage.tally.events, stage.tally.runs = stage.sent, stage.tally.runs + 1


if __name__ == "__main__":
    sys.exit(main())
