"""The model with its rules, and mutants of the pipeline: each must be caught by the invariants."""

from dataclasses import dataclass, fields, replace
from pathlib import Path

from ledger import drift_of_money
from model import GUARDED, Protocol, explore
from own_gold import i3_gold_is_recomputed
from report import Tally
from stage import Stage, held_against, everything

EVENTS = 2500  # of the topic that each mutant takes in: some are late, repeated, superseded


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
