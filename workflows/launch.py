"""Starts what a unit asks for: a process, another run, or an answer that is known at once."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflows.active import Active
from workflows.conditions import OperandError, outcome
from workflows.dynamic import UnknownValueError, filled
from workflows.events import Ended, Event, Expanded, Run, Start
from workflows.facts import inputs_of, unit_facts
from workflows.model import Task
from workflows.processes import LOST, Processes
from workflows.records import RunRecord
from workflows.requests import Place, request_for
from workflows.secrets import SecretError
from workflows.states import State

TAIL_BYTES = 4096


@dataclass(frozen=True)
class Launched:
    """What a unit's process or child run has come to."""

    run_id: int
    unit: str
    event: Ended
    values: Mapping[str, Any] = field(default_factory=dict)


class Launcher:
    """Starts units and remembers which process or run belongs to which."""

    def __init__(
        self,
        store: Path,
        processes: Processes,
        start_child: Callable[[RunRecord], tuple[int, Run | None]],
    ) -> None:
        self._store = store
        self._processes = processes
        self._start_child = start_child
        self._places: dict[str, tuple[Place, int]] = {}
        self._names: dict[tuple[int, str], str] = {}
        self._children: dict[int, tuple[int, str, int]] = {}

    def start(self, active: Active, command: Start, task: Task) -> Event | None:
        """Start a unit; its answer if that is known at once.

        Raises:
            UnknownValueError: a dynamic value or a secret that it needs is not there.
        """
        unit = command.unit
        facts = unit_facts(active.record, active.run_id, active.run, active.values, unit, task)
        if "[" in unit:
            number = int(unit.partition("[")[2][:-1])
            facts["input"] = self._inputs(active, unit.partition("[")[0])[number]
        if task.kind == "condition_task":
            return _condition(command, filled(dict(task.spec), facts))
        if task.kind == "for_each_task":
            active.inputs[unit] = inputs_of(task, facts)
            return Expanded(unit, len(active.inputs[unit]))
        if task.kind == "run_job_task":
            return self._run_job(active, command, filled(dict(task.spec), facts))
        place = Place(
            name=f"{unit}.{command.attempt}",
            folder=Path(active.record.folder),
            root=Path(active.record.root),
            store=self._store,
            run_id=active.run_id,
            unit=unit,
            pipelines=active.record.pipelines,
            spark=active.record.spark,
        )
        name = f"{active.run_id}/{place.name}"
        try:
            request = request_for(task, facts, place)
        except SecretError as error:
            raise UnknownValueError(str(error)) from None
        self._places[name] = (place, command.attempt)
        self._names[active.run_id, unit] = name
        self._processes.start(name, request)
        return None

    def _inputs(self, active: Active, loop: str) -> list[Any]:
        if loop not in active.inputs:  # the runner that knew them has died
            task = active.flow.task(loop)
            record = active.record
            facts = unit_facts(record, active.run_id, active.run, active.values, loop, task)
            active.inputs[loop] = inputs_of(task, facts)
        return active.inputs[loop]

    def _run_job(self, active: Active, command: Start, spec: Mapping[str, Any]) -> Event | None:
        record = active.record
        job = record.jobs[int(spec["job_id"])]
        given = {key: str(value) for key, value in (spec.get("job_parameters") or {}).items()}
        child, ended = self._start_child(
            RunRecord(
                job=job,
                root=record.root,
                folder=str(Path(record.folder) / f"{command.unit}.{command.attempt}"),
                bundle=record.bundle,
                target=record.target,
                jobs=record.jobs,
                parameters={**job.parameters, **given},
                trigger={"type": "run_job_task"},
                room=record.room,
                skipped=record.skipped,
                user=record.user,
                pipelines=record.pipelines,
                spark=record.spark,
                parent=(active.run_id, command.unit),
            )
        )
        self._children[child] = (active.run_id, command.unit, command.attempt)
        launched = self.child_ended(child, ended) if ended else None
        return launched.event if launched else None

    def stop(self, run_id: int, unit: str) -> int | None:
        """End a unit's process; or the number of the run that it waits for, to be canceled."""
        name = self._names.get((run_id, unit))
        if name is not None:
            self._processes.stop(name)
            return None
        mine = (
            child
            for child, (parent, key, _) in self._children.items()
            if (parent, key) == (run_id, unit)
        )
        return next(mine, None)

    def ended(self, name: str, code: int) -> Launched | None:
        """What a process that ended with `code` has come to."""
        place, attempt = self._places.pop(name)
        self._names.pop((place.run_id, place.unit), None)
        values = _values(place.values)
        if code == 0:
            event = Ended(place.unit, attempt, State.SUCCESS)
        else:
            said = (
                "the process that tasks are started from died"
                if code == LOST
                else (f"exit code {code}: {last_line(place.log)}")
            )
            event = Ended(place.unit, attempt, State.FAILED, message=said)
        return Launched(place.run_id, place.unit, event, values)

    def child_ended(self, child: int, run: Run) -> Launched | None:
        """What a run that another waits for has come to."""
        if child not in self._children:
            return None
        run_id, unit, attempt = self._children.pop(child)
        state = State.SUCCESS if run.state.good else run.state
        said = (
            "" if run.state.good else f"run {child} ended {run.state}: {run.message}".rstrip(": ")
        )
        return Launched(run_id, unit, Ended(unit, attempt, state, message=said))


def _condition(command: Start, spec: Mapping[str, Any]) -> Event:
    try:
        said = outcome(spec["op"], str(spec["left"]), str(spec["right"]))
    except OperandError as error:
        return Ended(command.unit, command.attempt, State.FAILED, message=str(error))
    return Ended(command.unit, command.attempt, State.SUCCESS, outcome=str(said).lower())


def _values(file: Path) -> dict[str, Any]:
    """What a task set as its values, the last of each key."""
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()
    return {key: value for key, value in map(json.loads, lines)}


def last_line(log: Path) -> str:
    """The last line of a log, which says what went wrong."""
    if not log.exists():
        return "no output"
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL_BYTES))
        lines = file.read().decode("utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output")
