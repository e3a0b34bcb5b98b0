"""What conformance cases are made of: a rule, the page it comes from, and a check.

`simulated` plays a job of databricks.yml through the real loader and control flow; only processes
are stood in for, each ending as the case says.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflows.bundle import Bundle, load_bundle
from workflows.conditions import outcome
from workflows.control import Flow
from workflows.events import Cancel, Ended, Event, Expanded, Start, Tick
from workflows.facts import inputs_of, unit_facts
from workflows.notebook import run as run_notebook
from workflows.records import RunRecord
from workflows.states import State

JOBS = "https://docs.databricks.com/aws/en/jobs/"
BUNDLES = "https://docs.databricks.com/aws/en/dev-tools/bundles/"
NOTEBOOKS = "https://docs.databricks.com/aws/en/notebooks/"
UTILITIES = "https://docs.databricks.com/aws/en/dev-tools/databricks-utils"
API = "https://docs.databricks.com/api/workspace/jobs/create"
ENDS = {"S": State.SUCCESS, "F": State.FAILED}


@dataclass(frozen=True)
class Case:
    """One documented rule.

    Attributes:
        area: the heading it stands under.
        rule: the feature or rule, with the expected result.
        page: where it is documented.
        check: raises if it does not hold.
        unsupported: the feature does not run here; the case checks that it is refused by name.
    """

    area: str
    rule: str
    page: str
    check: Callable[[], None]
    unsupported: bool = False


@dataclass
class Played:
    """How a simulated run went; `starts` are the units in the order they were started."""

    state: str
    units: dict[str, str]
    starts: list[str] = field(default_factory=list)
    seconds: float = 0.0


def loaded(text: str, **options: Any) -> Bundle:
    """The bundle that a text is, beside a few files that tasks may name."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("a.py", "b.sql", "n.py"):
            (root / name).write_text("# Databricks notebook source\n")
        (root / "databricks.yml").write_text(text)
        return load_bundle(root, **options)


def job_text(tasks: str, job: str = "", top: str = "") -> str:
    """A bundle with one job; a task that says nothing runs a Python file."""
    lines = []
    for line in tasks.strip().splitlines():
        kind = "" if "_task:" in line else ", spark_python_task: {python_file: a.py}"
        lines.append(f"        - {{{line.strip()}{kind}}}\n")
    settings = "".join(f"      {line.strip()}\n" for line in job.splitlines() if line.strip())
    return (
        f"bundle: {{name: x}}\n{top}resources:\n  jobs:\n    j:\n{settings}      tasks:\n"
        + "".join(lines)
    )


def simulated(
    tasks: str,
    ends: dict[str, str] | None = None,
    *,
    job: str = "",
    cancel: str | None = None,
    after: float = 0.0,
    values: dict[str, dict[str, Any]] | None = None,
    repair: dict[str, str] | None = None,
) -> Played:
    """Play the job `j` of these tasks.

    Args:
        ends: for a unit, how its attempts end, as `FFS`; the last letter stays. Default: success.
        cancel: the unit to cancel as it runs; `*` for the run.
        after: how many seconds each process takes.
        values: task values that tasks leave.
        repair: how attempts end in a repair of the run; None: there is none.
    """
    bundle = loaded(job_text(tasks, job))
    flow = Flow(bundle.job("j"), room=99)
    player = _Player(flow, bundle, ends or {}, cancel, after, values or {})
    player.play(flow.new(0.0))
    if repair is not None:
        player.ends, player.cancel, player.starts = repair, None, []
        player.play(flow.repaired(player.run, player.now))
    units = {key: str(unit.state) for key, unit in player.run.units.items()}
    return Played(str(player.run.state), units, player.starts, player.now)


class _Player:
    def __init__(
        self,
        flow: Flow,
        bundle: Bundle,
        ends: dict[str, str],
        cancel: str | None,
        after: float,
        values: dict[str, dict[str, Any]],
    ) -> None:
        self.flow, self.bundle, self.ends, self.cancel = flow, bundle, ends, cancel
        self.after, self.values, self.now = after, values, 0.0
        self.starts: list[str] = []

    def play(self, run: Any) -> None:
        self.run = run
        tries: dict[str, int] = {}
        waiting: list[Event] = [Tick()]
        while not self.run.state.ended:
            event = waiting.pop(0) if waiting else self._pass_time()
            self.run, commands = self.flow.step(self.run, event, self.now)
            for command in commands:
                if not isinstance(command, Start):
                    unit = self.run.units[command.unit]
                    waiting.insert(0, Ended(command.unit, unit.attempt, State.FAILED))
                    continue
                self.starts.append(command.unit)
                answer = self._answer(command, tries)
                if self.cancel in (command.unit, "*"):
                    answer = Cancel(None if self.cancel == "*" else command.unit)
                waiting.append(answer)

    def _pass_time(self) -> Event:
        wake = self.flow.wake_at(self.run)
        self.now = max(self.now, wake if wake is not None else self.now)
        return Tick()

    def _answer(self, command: Start, tries: dict[str, int]) -> Event:
        task = self.flow.task(command.unit)
        record = RunRecord(self.bundle.job("j"), "", "")
        if task.kind == "for_each_task":
            facts = unit_facts(record, 1, self.run, self.values, command.unit, task)
            return Expanded(command.unit, len(inputs_of(task, facts)))
        if task.kind == "condition_task":
            spec = {key: str(value) for key, value in task.spec.items()}
            said = str(outcome(spec["op"], spec["left"], spec["right"])).lower()
            return Ended(command.unit, command.attempt, State.SUCCESS, said)
        letters = self.ends.get(command.unit, "S")
        if letters == "slow":
            return Tick()
        number = tries[command.unit] = tries.get(command.unit, -1) + 1
        self.now += self.after
        state = ENDS[letters[min(number, len(letters) - 1)]]
        return Ended(command.unit, command.attempt, state)


def notebook(*cells: str, name: str = "n.py", others: dict[str, str] | None = None, **widgets: str):  # type: ignore[no-untyped-def]
    """What the last cell of a notebook shows."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text("# Databricks notebook source\n" + "\n# COMMAND ----------\n".join(cells))
        for other, text in (others or {}).items():
            (Path(folder) / other).write_text(text)
        return run_notebook(file, namespace={}, widgets=widgets)[-1].outputs


def refused(call: Callable[[], object], *words: str) -> None:
    """The call raises an error that says all of these words in one line."""
    try:
        call()
    except Exception as error:  # whatever class it is, its words are checked
        said = str(error)
        assert all(word in said for word in words), said
        assert "\n" not in said
        return
    raise AssertionError("nothing was refused")


def as_json(value: Any) -> str:
    """A value as YAML takes it in one line."""
    return json.dumps(value)
