"""What dynamic values stand for in a run."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from workflows.dynamic import Time, UnknownValueError, filled
from workflows.events import Run, Unit
from workflows.model import Job, Task
from workflows.records import RunRecord
from workflows.states import State

MAX_INPUTS = 5000
UNITS_PER_RUN = 100_000  # so that a unit's number is unique among all runs


def task_run_id(run_id: int, run: Run, unit: str) -> int:
    """The number of a unit in a run, unique among all."""
    return run_id * UNITS_PER_RUN + list(run.units).index(unit)


def run_facts(record: RunRecord, run_id: int) -> dict[str, Any]:
    """What is known before a task starts; parameters may refer to it."""
    trigger = dict(record.trigger)
    if "time" in trigger:
        trigger["time"] = Time(_moment(trigger["time"]))
    facts: dict[str, Any] = {
        "job": {
            "id": record.job.id,
            "name": record.job.name,
            "run_id": run_id,
            "repair_count": record.repair_count,
            "start_time": Time(_moment(record.started)),
            "trigger": trigger,
            "parameters": {},
        },
        "workspace": {"id": "0", "url": "local"},
    }
    if record.backfill:
        facts["backfill"] = Time(datetime.fromisoformat(record.backfill))
    facts["job"]["parameters"] = filled(dict(record.parameters), facts)
    return facts


def unit_facts(
    record: RunRecord,
    run_id: int,
    run: Run,
    values: Mapping[str, Mapping[str, Any]],
    unit: str,
    task: Task,
) -> dict[str, Any]:
    """What is known as a unit starts."""
    facts = run_facts(record, run_id)
    own = run.units[unit]
    facts["task"] = {
        "name": task.key,
        "run_id": task_run_id(run_id, run, unit),
        "execution_count": own.attempt,
        "retry_count": own.tries - 1,
        "notebook_path": task.file or "",
    }
    facts["tasks"] = _Tasks(record, run_id, run, values)
    return facts


class _Tasks(Mapping[str, Any]):
    """What is known of each task, made when it is asked for: few tasks ask, and there are many."""

    def __init__(
        self,
        record: RunRecord,
        run_id: int,
        run: Run,
        values: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._record, self._run_id, self._run, self._values = record, run_id, run, values

    def __getitem__(self, key: str) -> dict[str, Any]:
        task, unit = self._record.job.task(key), self._run.units[key]
        number = task_run_id(self._run_id, self._run, key)
        return _task_facts(task, unit, self._values.get(key, {})) | {"run_id": number}

    def __contains__(self, key: object) -> bool:
        return key in self._run.units

    def __iter__(self) -> Iterator[str]:
        return iter(self._run.units)

    def __len__(self) -> int:
        return len(self._run.units)


def _task_facts(task: Task, unit: Unit, values: Mapping[str, Any]) -> dict[str, Any]:
    rows = values.get(OUTPUT)
    facts = {
        "result_state": result_state(unit),
        "error_code": ""
        if unit.state not in (State.FAILED, State.TIMEDOUT)
        else "RUN_EXECUTION_ERROR",
        "execution_count": unit.attempt,
        "notebook_path": task.file or "",
        "values": {key: value for key, value in values.items() if key != OUTPUT},
    }
    if isinstance(rows, list):
        facts["output"] = {"rows": rows, "first_row": rows[0] if rows else {}}
    return facts


OUTPUT = "\0rows"  # what a SQL task returned, beside its values


def result_state(unit: Unit) -> str:
    """A unit's state as `{{tasks.x.result_state}}` says it."""
    return str(unit.state).lower()


def inputs_of(task: Task, facts: Mapping[str, Any]) -> list[Any]:
    """The inputs of a loop.

    Raises:
        UnknownValueError: they refer to nothing, or are not a JSON array of at most MAX_INPUTS.
    """
    given = filled(task.spec["inputs"], facts)
    try:
        inputs = json.loads(given) if isinstance(given, str) else given
    except ValueError:
        inputs = None
    if not isinstance(inputs, list):
        raise UnknownValueError(f"inputs must be a JSON array, got {str(given)[:60]}")
    if len(inputs) > MAX_INPUTS:
        raise UnknownValueError(f"{len(inputs):,} inputs; a loop takes at most {MAX_INPUTS:,}")
    return inputs


def job_parameters(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a run: the job's defaults with what is given on top."""
    return {**job.parameters, **given}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
