"""What a run was started with: kept, so that it can be taken up or repaired as it was."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from workflows.model import Job


@dataclass(frozen=True)
class RunRecord:
    """The definition and the circumstances of a run.

    Attributes:
        jobs: the other jobs of the bundle that its tasks may run, by id.
        parameters: the job's parameters, dynamic values filled in.
        root: the folder of the bundle.
        folder: where logs and pages are written.
        trigger: what started it: `manual`, `schedule`, `run_job` and so on, with its facts.
        room: how many processes may run side by side.
        pipelines: for a pipeline's id, the command that updates it here.
        spark: where Spark's settings come from: `call`, a function, and its `arguments`.
        parent: the run and unit that started it.
        backfill: the moment that `{{backfill.…}}` stands for.
        started: when it was first started, in seconds; it stays with a repair.
    """

    job: Job
    root: str
    folder: str
    bundle: str = ""
    target: str = ""
    jobs: Mapping[int, Job] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    trigger: Mapping[str, Any] = field(default_factory=lambda: {"type": "manual"})
    room: int = 1
    skipped: tuple[str, ...] = ()
    user: str = ""
    pipelines: Mapping[str, list[str]] = field(default_factory=dict)
    spark: Mapping[str, Any] = field(default_factory=dict)
    parent: tuple[int, str] | None = None
    repair_count: int = 0
    backfill: str | None = None
    started: float = 0.0

    def to_json(self) -> str:
        """As text."""
        return _adapter().dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "RunRecord":
        """From text."""
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[RunRecord]:
    return TypeAdapter(RunRecord)
