"""The model with its rules, and mutants of the pipeline: each must be caught by the invariants."""

import shutil
from dataclasses import fields, replace

from breaks_mutants import MUTANTS
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kinds_kills import VIEWS
from model import GUARDED, Protocol, explore
from processes import make_project, overlay
from report import Tally
from stage import Stage, everything

TOPIC = "mutants"
BEFORE, AFTER = 1000, 1000  # events; only after the first 1,000 is one late, repeated, superseded
NONE = "no rule is broken"
GONE = "failOnDataLoss=false"  # the last one, as it takes messages out of the topic


def model_holds(tally: Tally) -> tuple[int, int]:
    """States that were visited and rules; without any one of these the model must go wrong."""
    whole = explore(Protocol())
    if whole.said:
        tally.found([f"model: {whole.said}: {' -> '.join(whole.path)}"], "exploration")
    rules = [one.name for one in fields(Protocol)]
    for rule in rules:
        off = dict.fromkeys({rule, GUARDED.get(rule, rule)}, False)
        if not explore(replace(Protocol(), **off)).said:
            tally.found([f"model: nothing goes wrong without {rule}"], "exploration")
    return whole.states, len(rules)


def caught(stage: Stage, names: tuple[str, ...] = tuple(MUTANTS)) -> None:
    """Take the same events into a lake per mutant; the invariants hold of none but the program."""
    stage.worker.close()
    own = _golden(stage)
    golden = own.root
    try:
        for name in (NONE, *names):
            own.move(own.folder / name.replace(" ", "-"))
            shutil.copytree(golden, own.root)
            said = _of(own, name)
            own.tally.say(f"mutant, {name}: {said[0][:160] if said else 'nothing found'}")
            shutil.rmtree(own.root)
            if name == NONE:
                own.tally.found(said, "mutants, with no rule broken")
                continue
            stage.tally.mutants[0] += bool(said)
            stage.tally.mutants[1] += 1
    finally:
        own.worker.close()


def _golden(stage: Stage) -> Stage:
    """A lake with half of its events taken in, the others in its topic."""
    servers, folder = stage.servers, stage.folder / "of-mutants"
    folder.mkdir()
    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(TOPIC, 2)])[TOPIC].result(30)
    project = make_project(folder / "project", overlay(servers, TOPIC))
    own = Stage(folder, project, TOPIC, servers, stage.seed, stage.tally, BEFORE, BEFORE + AFTER)
    own.send()
    own.ingest()
    own.refresh(*VIEWS)
    own.send(AFTER)
    return own


def _of(own: Stage, name: str) -> list[str]:
    """What the invariants say of the lake that a mutant leaves."""
    if name == GONE:
        _trim(own)
    own.worker.run("!mend")
    if name != NONE:
        own.worker.run("!mutant", name)
    own.worker.run("ingest")
    if name == "no transaction in bronze":
        own.disk.forget(own.bronze)
        own.worker.run("ingest")
    elif name == "cleanup after a lost response":
        own.worker.run("!mend")
        own.worker.run("ingest")
    own.worker.run("refresh", *VIEWS)
    return everything(own.root, own.ledger, {}).broken


def _trim(own: Stage) -> None:
    """Take the messages that are not yet in the lake out of the topic, but for the last ones."""
    admin = AdminClient({"bootstrap.servers": own.servers})
    after = (BEFORE + AFTER * 2 // 3) // 2
    taken = [TopicPartition(TOPIC, partition, after) for partition in (0, 1)]
    for one in admin.delete_records(taken).values():
        one.result(30)
